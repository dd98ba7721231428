"""``keras-vae convert``: a diffusers model becomes a RUN for every command, and goes back with the same bits."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_vae.models import AutoencoderKL

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ``sd/vae``, a small diffusers model, with ``sd.keras`` and with photographs."""
    folder = tmp_path_factory.mktemp("convert")
    keras.utils.set_random_seed(0)
    vae = AutoencoderKL((32, 32, 3), block_out_channels=(8, 8, 16), norm_num_groups=4, layers_per_block=1)
    vae.save_diffusers(folder / "sd" / "vae")
    vae.save(folder / "sd.keras")
    (folder / "photos").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), "uint8")):
        Image.fromarray(pixels).save(folder / "photos" / f"{index}.png")
    return folder


def test_a_folder_becomes_a_file_and_comes_back_with_the_same_bits(place, run_here, tmp_path):
    there = run_here("convert", "sd", tmp_path / "model.keras", "--json", cwd=place)
    back = run_here("convert", tmp_path / "model.keras", tmp_path / "tuned", cwd=place)

    assert (there.returncode, there.stderr) == (0, "")
    figures = json.loads(there.stdout)
    assert figures["image_shape"] == [32, 32, 3]
    assert figures["latent_shape"] == [8, 8, 4]
    assert figures["largest_difference"] < 1e-6
    assert back.returncode == 0, back.stderr
    assert "images 32×32×3, latents 8×8×4; read back, its weights are the same" in back.stdout
    for name in ("config.json", WEIGHTS):
        assert (tmp_path / "tuned" / name).read_bytes() == (place / "sd" / "vae" / name).read_bytes()


def test_the_size_of_the_images_may_be_chosen(place, run_here, tmp_path):
    done = run_here("convert", "sd/vae", tmp_path / "m.keras", "--image-size", "16x24", "--json", cwd=place)
    assert json.loads(done.stdout)["latent_shape"] == [4, 6, 4], done.stderr


def test_a_converted_model_reconstructs_encodes_and_samples(place, run_here, tmp_path):
    picture, latents, samples = tmp_path / "pictures.png", tmp_path / "latents.npz", tmp_path / "samples.png"
    commands = (
        ("reconstruct", "sd.keras", "photos/0.png", "photos/1.png", "--out", picture),
        ("encode", "sd.keras", "folder:photos", "--out", latents),
        ("sample", "sd.keras", "--count", 4, "--out", samples),
    )
    for command in commands:
        done = run_here(*command, cwd=place)
        assert done.returncode == 0, done.stderr
    assert picture.is_file()
    assert samples.is_file()
    assert np.load(latents)["mean"].shape[1:] == (8, 8, 4)


@pytest.mark.slow
def test_a_converted_model_is_measured_and_exported(place, run_here, tmp_path):
    data = ("--dataset", "folder:photos")
    measured = run_here("evaluate", "sd.keras", *data, "--importance-samples", 0, "--json", cwd=place)
    exported = run_here("export", "sd.keras", *data, "--to", tmp_path, "--version", 1, cwd=place)

    assert measured.returncode == 0, measured.stderr
    assert np.isfinite(json.loads(measured.stdout)["metrics"]["lpips"])
    assert exported.returncode == 0, exported.stderr
    manifest = json.loads((tmp_path / "sd" / "1" / "manifest.json").read_text())
    assert manifest["latent_shape"] == [8, 8, 4]
    assert manifest["scaling_factor"] == pytest.approx(0.18215)
    precisions = {(file["part"], file["precision"]) for file in manifest["tflite"]}
    assert precisions == {
        (part, precision) for part in ("encoder", "decoder") for precision in ("fp32", "fp16", "int8_weights")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "m.keras"), "nowhere: no such folder"),
        (("nowhere.keras", "folder"), "nowhere.keras: no such run directory, .keras file"),
        (("photos", "m.keras"), "photos: is no diffusers folder, which a .keras file can be made of"),
        (("sd.keras", "m.keras"), "sd.keras: is no diffusers folder"),
        (("sd", "folder"), "folder: the name must end in .keras, because SOURCE is a diffusers folder"),
        (("sd", "sd.keras"), "sd.keras: exists already; replace it with --overwrite"),
        (("sd.keras", "sd/vae"), "sd/vae: exists already"),
        (("sd.keras", "photos", "--overwrite"), "photos: holds other files, such as 0.png"),
        (("sd.keras", "folder", "--image-size", "16"), "--image-size is for a diffusers SOURCE"),
        (("mnist-latent2", "folder"), "mnist-latent2: is a VAE, and diffusers has only AutoencoderKL"),
        (("tiny", "m.keras"), "_class_name is 'AutoencoderTiny', and only AutoencoderKL is supported"),
        (("cut", "m.keras"), f"{WEIGHTS}: is damaged, incomplete or no safetensors file"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_a_line(place, run_here, arguments, message):
    for name in ("tiny", "cut"):
        shutil.copytree(place / "sd" / "vae", place / name, dirs_exist_ok=True)
    config = place / "tiny" / "config.json"
    config.write_text(config.read_text().replace("AutoencoderKL", "AutoencoderTiny"))
    (place / "cut" / WEIGHTS).write_bytes((place / "cut" / WEIGHTS).read_bytes()[:5000])

    done = run_here("convert", *arguments, cwd=place)

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
    assert not (place / "m.keras").exists()


def test_other_commands_say_how_to_take_a_diffusers_folder(place, run_here):
    done = run_here("sample", "sd", cwd=place)
    assert done.returncode == 2
    assert "sd: is a diffusers folder; make a model of it with: keras-vae convert sd model.keras" in done.stderr
