"""Folders of diffusers models: what is written comes back with the same bits, and what does not fit is refused."""

import json
import os
import shutil
import sys

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from keras_vae.errors import InputError
from keras_vae.models import AutoencoderKL

WEIGHTS = "diffusion_pytorch_model.safetensors"
OPTIONS = {
    "image_shape": (16, 16, 3),
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "scaling_factor": 0.13025,
}


@pytest.fixture(scope="module")
def vae():
    """A small model, each of whose weights shows."""
    keras.utils.set_random_seed(0)
    model = AutoencoderKL(**OPTIONS)
    rng = np.random.default_rng(0)
    for weight in (*model.encoder.weights, *model.decoder.weights):
        weight.assign(rng.normal(0, 0.2, weight.shape).astype("float32"))
    return model


@pytest.fixture(scope="module")
def folder(vae, tmp_path_factory):
    """The model's diffusers folder, which no test changes."""
    path = tmp_path_factory.mktemp("diffusers") / "vae"
    vae.save_diffusers(path)
    return path


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the folder, to be changed."""
    return shutil.copytree(folder, tmp_path / "vae")


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def same_weights(first, second):
    return all(np.array_equal(one, other) for one, other in zip(weights_of(first), weights_of(second), strict=True))


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_tensors(folder, change):
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def test_a_folder_comes_back_with_the_same_bits(vae, folder, tmp_path):
    again = AutoencoderKL.from_diffusers(folder)

    assert again.decoder.architecture == vae.decoder.architecture
    assert same_weights(again, vae)
    again.save_diffusers(tmp_path / "again")
    for name in ("config.json", WEIGHTS):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"use_quant_conv": False, "use_post_quant_conv": False, "latent_channels": 16, "shift_factor": 0.1159},
        {"mid_block_add_attention": False, "force_upcast": False, "image_shape": (16, 24, 3)},
        {"image_shape": (8, 8, 1), "block_out_channels": (4, 8, 8), "layers_per_block": 2},
    ],
)
def test_every_field_comes_back(tmp_path, changes):
    model = AutoencoderKL(**{**OPTIONS, **changes})
    model.save_diffusers(tmp_path / "vae")

    again = AutoencoderKL.from_diffusers(tmp_path / "vae")

    assert again.decoder.architecture == model.decoder.architecture
    assert same_weights(again, model)


def test_the_config_names_class_and_sample_size_and_keeps_short_decimals(folder):
    config = json.loads((folder / "config.json").read_text())

    assert config["_class_name"] == "AutoencoderKL"
    assert config["scaling_factor"] == 0.13025
    assert config["shift_factor"] is None
    assert config["sample_size"] == 16
    assert config["down_block_types"] == ["DownEncoderBlock2D"] * 2


def test_what_the_config_leaves_out_has_the_default_of_diffusers(copy):
    path = copy / "config.json"
    wanted = {"_class_name", "block_out_channels", "norm_num_groups", "sample_size"}
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name in wanted}))

    assert float(AutoencoderKL.from_diffusers(copy).scaling_factor) == np.float32(0.18215)


def test_the_image_shape_and_the_padding_may_be_chosen(folder):
    model = AutoencoderKL.from_diffusers(folder, (24, 32, 3), padding="none", dtype="mixed_bfloat16")

    assert model.image_shape == (24, 32, 3)
    assert model.decoder.architecture.padding == "none"
    assert model.encoder.stem.compute_dtype == "bfloat16"


def test_a_pipeline_has_its_model_in_vae(vae, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "pipeline" / "vae")
    assert same_weights(AutoencoderKL.from_diffusers(tmp_path / "pipeline"), vae)


def test_a_file_in_shards_is_read_whole(vae, copy):
    tensors = load_file(copy / WEIGHTS)
    (copy / WEIGHTS).unlink()
    names = sorted(tensors)
    parts = {f"diffusion_pytorch_model-0000{index + 1}-of-00002.safetensors": names[index::2] for index in (0, 1)}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, copy / file)
    weight_map = {name: file for file, part in parts.items() for name in part}
    (copy / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))

    assert same_weights(AutoencoderKL.from_diffusers(copy), vae)

    (copy / next(iter(parts))).unlink()
    with pytest.raises(InputError, match=r"-00001-of-00002.safetensors: cannot be read"):
        AutoencoderKL.from_diffusers(copy)
    (copy / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"a": "../../a.safetensors"}}))
    with pytest.raises(InputError, match="which is no safetensors file of its folder"):
        AutoencoderKL.from_diffusers(copy)


@pytest.mark.parametrize(("dtype", "variant"), [("float16", ".fp16"), (ml_dtypes.bfloat16, ".bf16"), ("float64", "")])
def test_weights_of_every_precision_become_float32(vae, copy, dtype, variant):
    change_tensors(copy, lambda tensors: {name: value.astype(dtype) for name, value in tensors.items()})
    (copy / WEIGHTS).rename(copy / f"diffusion_pytorch_model{variant}.safetensors")

    found = AutoencoderKL.from_diffusers(copy)

    for weight, expected in zip(found.encoder.weights, vae.encoder.weights, strict=True):
        rounded = keras.ops.convert_to_numpy(expected).astype(dtype).astype("float32")
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), rounded)


def test_names_of_older_files_are_known(vae, copy):
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def renamed(tensors):
        found = {}
        for name, value in tensors.items():
            for now, then in former.items():
                name = name.replace(f"attentions.0.{now}.", f"attentions.0.{then}.")
            found[name] = value
        return found

    change_tensors(copy, renamed)

    assert "encoder.mid_block.attentions.0.proj_attn.bias" in load_file(copy / WEIGHTS)
    assert same_weights(AutoencoderKL.from_diffusers(copy), vae)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "AutoencoderTiny"}, "_class_name is 'AutoencoderTiny', and only AutoencoderKL is supported"),
        ({"_class_name": "VQModel"}, "_class_name is 'VQModel'"),
        ({"_class_name": "AutoencoderKLFlux2"}, "_class_name is 'AutoencoderKLFlux2'"),
        ({"_class_name": None}, "_class_name is None"),
        ({"act_fn": "relu"}, "act_fn is 'relu', and only silu is supported"),
        ({"down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]}, "down_block_types is "),
        ({"up_block_types": ["UpDecoderBlock2D"]}, "up_block_types is "),
        ({"latents_mean": [0.1]}, "latents_mean is .*, and this field is not supported"),
        ({"patch_size": [2, 2]}, "patch_size is .*, and this field is not supported"),
        ({"latent_channels": "four"}, "latent_channels must be a whole number, got 'four'"),
        ({"block_out_channels": 8}, "block_out_channels must be one or more whole numbers, got 8"),
        ({"norm_num_groups": 5}, "norm_num_groups must divide block_out_channels, got 5 and 8"),
        ({"out_channels": 4}, "out_channels must be the 3 channels of image_shape, got 4"),
        ({"scaling_factor": None}, "scaling_factor must be a number, got None"),
        ({"sample_size": "512"}, r"image_shape \(from sample_size\) must be"),
    ],
)
def test_a_config_that_is_not_supported_is_refused_by_the_name_of_the_field(copy, changes, message):
    change_config(copy, **changes)
    with pytest.raises(InputError, match=rf"config\.json: {message}"):
        AutoencoderKL.from_diffusers(copy)


@pytest.mark.parametrize("text", ["[1]", "{", "", "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json: (is not JSON|expected an object)"):
        AutoencoderKL.from_diffusers(copy)


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(copy, size):
    content = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(content[:size])
    with pytest.raises(InputError, match=f"{WEIGHTS}: is damaged, incomplete or no safetensors file"):
        AutoencoderKL.from_diffusers(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors: {name: value for name, value in tensors.items() if name != "quant_conv.bias"},
            r"lacks 1 tensor that its config.json asks for, such as 'quant_conv.bias'",
        ),
        (
            lambda tensors: {**tensors, "loss.logvar": np.zeros(1)},
            r"holds 1 tensor that its config.json does not ask for, such as 'loss.logvar'",
        ),
        (
            lambda tensors: {**tensors, "quant_conv.bias": np.zeros(6, "float32")},
            r"quant_conv.bias is \(6,\), and its config.json asks for \(8,\)",
        ),
        (
            lambda tensors: {name.replace("down_blocks", "down"): value for name, value in tensors.items()},
            r"have the names of CompVis' code, such as 'encoder.down.0.*; with diffusers, AutoencoderKL.from_sing",
        ),
        (lambda tensors: {**tensors, "quant_conv.bias": np.zeros(8, "int8")}, "quant_conv.bias is I8, not one of"),
    ],
)
def test_tensors_that_do_not_fit_the_config_are_refused(copy, change, message):
    change_tensors(copy, change)
    with pytest.raises(InputError, match=message):
        AutoencoderKL.from_diffusers(copy)


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "model.ckpt"])
def test_pickles_are_refused_with_the_reason(copy, name):
    (copy / WEIGHTS).rename(copy / name)
    with pytest.raises(InputError, match=f"{name}: is a pickle, which can run code when it is read"):
        AutoencoderKL.from_diffusers(copy)
    with pytest.raises(InputError, match=f"{name}: is a pickle"):
        AutoencoderKL.from_diffusers(copy / name)


def test_a_place_without_a_model_is_named(copy, tmp_path):
    for path, message in (
        (tmp_path / "nowhere", "no such folder"),
        (copy / WEIGHTS, "is a single file; give a folder"),
    ):
        with pytest.raises(InputError, match=message):
            AutoencoderKL.from_diffusers(path)
    (copy / WEIGHTS).unlink()
    with pytest.raises(InputError, match=f"holds no {WEIGHTS}"):
        AutoencoderKL.from_diffusers(copy)
    (copy / "config.json").unlink()
    with pytest.raises(InputError, match="is no diffusers folder"):
        AutoencoderKL.from_diffusers(copy)


def test_several_variants_are_not_chosen_between(copy):
    (copy / WEIGHTS).rename(copy / "diffusion_pytorch_model.fp16.safetensors")
    shutil.copy(copy / "diffusion_pytorch_model.fp16.safetensors", copy / "diffusion_pytorch_model.ema.safetensors")
    with pytest.raises(InputError, match="holds several variants"):
        AutoencoderKL.from_diffusers(copy)


def test_nothing_is_overwritten_unless_it_is_such_a_model(vae, copy):
    with pytest.raises(InputError, match="exists already"):
        vae.save_diffusers(copy)
    vae.save_diffusers(copy, overwrite=True)
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files, such as notes\.txt"):
        vae.save_diffusers(copy, overwrite=True)
    assert (copy / "notes.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named_and_left_alone(vae, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("keras_vae.models.diffusers_folder.write", fail)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        vae.save_diffusers(tmp_path / "vae")
    assert os.listdir(tmp_path) == []


def test_without_the_library_the_message_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(InputError, match=r"pip install keras-vae\[diffusers\]"):
        AutoencoderKL.from_diffusers(folder)


def test_the_files_can_be_read_by_whom_the_umask_allows(folder):
    assert (folder / WEIGHTS).stat().st_mode == (folder / "config.json").stat().st_mode
