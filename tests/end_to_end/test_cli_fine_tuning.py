"""``keras-vae train --from``: a run and a converted model are trained on, resumed, and given back to diffusers."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from keras_vae.export.float32 import float32_copy
from keras_vae.models import AutoencoderKL
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.saving import load_model

ALONE = ("--perceptual-weight", 0, "--adversarial-weight", 0, "--precision", "float32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ``sd.keras``, a small model of latent diffusion, and with photographs."""
    folder = tmp_path_factory.mktemp("tune")
    keras.utils.set_random_seed(0)
    options = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    AutoencoderKL((16, 16, 3), **options).save(folder / "sd.keras")
    (folder / "photos").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), "uint8")):
        Image.fromarray(pixels).save(folder / "photos" / f"{index}.png")
    return folder


@pytest.mark.slow
def test_the_decoder_of_a_run_is_tuned_with_the_settings_of_the_run(trained, workplace, run_here, tmp_path):
    _, run = trained
    done = run_here("train", "--from", run, "--freeze", "encoder", "--epochs", 1, *ALONE, "--run-dir",
                    tmp_path / "tuned", cwd=workplace)  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert f"starting from the weights of {run}, its encoder frozen" in done.stdout
    before, after = RunDirectory(run).read_config(), RunDirectory(tmp_path / "tuned").read_config()
    assert after.model == before.model
    assert after.data == before.data
    assert (after.from_model, after.freeze) == (str(run), "encoder")
    images = np.random.default_rng(0).random((3, 28, 28, 1), "float32")
    source, tuned = load_model(run / "model.keras"), load_model(tmp_path / "tuned" / "model.keras")
    # In one precision, since each file has its own.
    source, tuned = float32_copy(source), float32_copy(tuned)
    np.testing.assert_array_equal(source.encode(images)[0], tuned.encode(images)[0])
    assert np.abs(source.reconstruct(images) - tuned.reconstruct(images)).max() > 0


@pytest.mark.slow
def test_a_model_of_latent_diffusion_is_tuned_resumed_without_its_source_and_converted(place, run_here, tmp_path):
    shutil.copytree(place / "photos", tmp_path / "photos")
    shutil.copy(place / "sd.keras", tmp_path)
    small = ("--image-size", "16x16", "--batch-size", 4, "--epochs", 1, "--perceptual-weight", 0)
    started = run_here("train", "--from", "sd.keras", "--preset", "kl-mse", "--freeze", "encoder",
                       "--dataset", "folder:photos", *small, cwd=tmp_path)  # fmt: skip
    (tmp_path / "sd.keras").unlink()
    run = tmp_path / "runs" / "sd-tuned"
    resumed = run_here("train", "--resume", "--run-dir", run, "--epochs", 2, cwd=tmp_path)
    converted = run_here("convert", run, "tuned", "--json", cwd=tmp_path)

    assert started.returncode == 0, started.stderr
    assert "AutoencoderKL of" in started.stdout
    assert resumed.returncode == 0, resumed.stderr
    assert "continuing after epoch 1" in resumed.stderr
    assert converted.returncode == 0, converted.stderr
    assert json.loads((tmp_path / "tuned" / "config.json").read_text())["scaling_factor"] == 0.18215
    source, tuned = load_model(place / "sd.keras"), load_model(run / "model.keras")
    images = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    # In one precision, since each file has its own.
    source, tuned = float32_copy(source), float32_copy(tuned)
    np.testing.assert_array_equal(source.encode(images)[0], tuned.encode(images)[0])
    assert RunDirectory(run).finished_epochs() == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "mnist-latent2", "--widths", "8,16"), "mnist-latent2 has its own widths: leave that out, or train"),
        (("--from", "mnist-latent2", "--latent", "4"), "mnist-latent2 has its own latent: leave that out, or train"),
        (("--preset", "kl-gan"), "preset kl-gan fine-tunes a model: give it with --from"),
        (("--freeze", "encoder"), "--freeze keeps the encoder of a trained model: give it with --from"),
        (("--from", "no.keras"), "no.keras: no such run directory, .keras file or exported model"),
        (("--from", "runs/a/model.keras", "--run-dir", "runs/a", "--overwrite"), "runs/a: holds the model that --from"),
        (("--from", "sd.keras", "--dataset", "folder:photos"), "sd.keras: is an AutoencoderKL, for which the settings"),
        (
            ("--from", "sd.keras", "--preset", "kl-mse", "--channels", "1", "--dataset", "folder:photos"),
            "takes images ",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_and_nothing_is_left(place, refusal_here, options, message):
    assert message in refusal_here("train", *options, cwd=place)


def test_an_experiment_compares_new_models(place, run_here):
    done = run_here("experiment", "--from", "mnist-latent2", cwd=place)
    assert done.returncode == 2
    assert "an experiment compares latent sizes, but --from has one; use train" in done.stderr
