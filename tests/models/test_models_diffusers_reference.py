"""AutoencoderKL against diffusers on PyTorch: the same posterior, image and gradients, and files both ways."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_vae.models import AutoencoderKL
from keras_vae.models.diffusers_names import places

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="diffusers is not installed"),
]
REFERENCE = Path(__file__).with_name("diffusers_reference.py")
CONFIGURATIONS = ("sd15", "sd3", "no_attention", "odd")
# float32 through dozens of convolutions and normalisations, in another order
LATENT, PIXEL = 2e-5, 5e-5


def run_reference(*arguments):
    quiet = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, REFERENCE, *map(str, arguments)], check=True, env={**os.environ, **quiet})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of diffusers models with their numbers, one for each configuration and precision."""
    folder = tmp_path_factory.mktemp("reference")
    run_reference("make", folder)
    return folder


def numpy_of(values):
    return keras.ops.convert_to_numpy(values)


def loss(images, mean, log_var, decoded):
    """The reference's loss."""
    height, width = decoded.shape[1:3]
    error = decoded - images[:, :height, :width]
    sums = [keras.ops.sum(keras.ops.square(error)), keras.ops.sum(keras.ops.square(mean)), keras.ops.sum(log_var)]
    return sums[0] + sums[1] + 0.1 * sums[2]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_posterior_and_image_are_those_of_diffusers(models, name):
    vae = AutoencoderKL.from_diffusers(models / name, padding="none")
    numbers = np.load(models / name / "numbers.npz")

    mean, log_var = vae.encode(numbers["images"])

    np.testing.assert_allclose(numpy_of(mean), numbers["mean"], atol=LATENT)
    np.testing.assert_allclose(numpy_of(log_var), numbers["log_var"], atol=LATENT)
    assert {-30.0, 20.0} <= set(np.unique(numbers["log_var"]))  # both bounds were met
    np.testing.assert_allclose(numpy_of(vae.decoder(mean)), numbers["decoded"], atol=PIXEL)
    np.testing.assert_allclose(numpy_of(vae.decode(mean)), numbers["decoded"].clip(0, 1), atol=PIXEL)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_gradient_of_every_weight_is_that_of_diffusers(models, name, gradients):
    vae = AutoencoderKL.from_diffusers(models / name, padding="none")
    numbers = np.load(models / name / "numbers.npz")
    images = keras.ops.convert_to_tensor(numbers["images"])

    def value():
        mean, log_var = vae.encode(images)
        return loss(images, mean, log_var, vae.decoder(mean))

    found = list(places(vae))
    for place, gradient in zip(found, gradients(value, [place.variable for place in found]), strict=True):
        for tensor, ours in dataclasses.replace(place, variable=gradient).tensors().items():
            theirs = numbers[f"gradient {tensor}"]
            # A sum over all positions and channels; that of a key's bias is zero but for rounding.
            np.testing.assert_allclose(
                ours, theirs, rtol=1e-3, atol=1e-3 * max(1.0, np.abs(theirs).max()), err_msg=tensor
            )


@pytest.mark.parametrize(("name", "bound"), [("shards", 0.0), ("fp16", 2**-11), ("bfloat16", 2**-8)])
def test_files_in_shards_and_in_half_precision_hold_the_same_weights(models, name, bound):
    whole, other = (AutoencoderKL.from_diffusers(models / each) for each in ("sd15", name))
    for expected, found in zip(whole.encoder.weights, other.encoder.weights, strict=True):
        # fp16 has numbers below its normal range, which are rounded to multiples of 2⁻²⁴.
        np.testing.assert_allclose(numpy_of(found), numpy_of(expected), rtol=bound, atol=2**-25 if bound else 0)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_diffusers_reads_what_is_written_and_computes_the_same(models, name, tmp_path):
    vae = AutoencoderKL.from_diffusers(models / name, padding="none")
    numbers = np.load(models / name / "numbers.npz")
    # A tuned model, in whose file no number is the old one.
    for weight in (*vae.encoder.trainable_weights, *vae.decoder.trainable_weights):
        weight.assign(weight * 1.03125)
    vae.save_diffusers(tmp_path / "vae")
    np.save(tmp_path / "vae" / "images.npy", numbers["images"])

    run_reference("measure", tmp_path / "vae")

    theirs = np.load(tmp_path / "vae" / "numbers.npz")
    mean, log_var = vae.encode(numbers["images"])
    np.testing.assert_allclose(numpy_of(mean), theirs["mean"], atol=LATENT)
    np.testing.assert_allclose(numpy_of(log_var), theirs["log_var"], atol=LATENT)
    np.testing.assert_allclose(numpy_of(vae.decoder(mean)), theirs["decoded"], atol=PIXEL)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_folder_of_diffusers_comes_back_with_the_same_bits(models, name, tmp_path):
    from safetensors.numpy import load_file

    AutoencoderKL.from_diffusers(models / name, padding="none").save_diffusers(tmp_path / "vae")

    ours, theirs = (
        load_file(folder / "diffusion_pytorch_model.safetensors") for folder in (tmp_path / "vae", models / name)
    )
    assert ours.keys() == theirs.keys()
    for tensor in theirs:
        np.testing.assert_array_equal(ours[tensor], theirs[tensor])
