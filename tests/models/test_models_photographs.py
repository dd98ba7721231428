"""The published autoencoders of photographs, on images that they were not trained on."""

import keras
import numpy as np
import pytest
import skimage.data
from skimage.metrics import peak_signal_noise_ratio

from keras_vae import VAE

SIDE = 256
# Sides of a latent in pixels of the image, its channels, and the least PSNR of the photograph below, in dB.
EXPECTED = {"photos-f4": (4, 4, 29.0), "photos-f8": (8, 16, 27.0)}


@pytest.fixture(scope="module", params=EXPECTED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def vae(name):
    return VAE.from_preset(name)


@pytest.fixture(scope="module")
def photograph():
    """The astronaut's face, float32 (1, 256, 256, 3) in [0, 1]."""
    return skimage.data.astronaut()[None, :SIDE, 100 : 100 + SIDE].astype("float32") / 255


def reconstructed(vae, images):
    """NumPy of any backend: PyTorch's tensors carry gradients, which `numpy.asarray` refuses."""
    return keras.ops.convert_to_numpy(vae.reconstruct(images))


def color_error(vae, greys):
    """The mean error of each channel over each grey image of brightness (N, 256, 256), in [0, 1]: (N, 3)."""
    images = np.repeat(greys[..., None], 3, axis=-1).astype("float32")
    found = np.concatenate([reconstructed(vae, image[None]) for image in images])
    return np.mean(found - images, axis=(1, 2))


def test_a_published_autoencoder_is_small_and_its_latent_follows_the_image(name, vae, photograph):
    factor, channels, _ = EXPECTED[name]

    assert vae.image_shape == (SIDE, SIDE, 3)
    assert vae.count_params() <= 3_000_000
    assert vae.encode(photograph)[0].shape == (1, SIDE // factor, SIDE // factor, channels)
    assert vae.encode(photograph[:, :96, :128])[0].shape == (1, 96 // factor, 128 // factor, channels)
    assert vae.reconstruct(photograph[:, :96, :128]).shape == (1, 96, 128, 3)


def test_a_photograph_from_elsewhere_is_reconstructed(name, vae, photograph):
    found = reconstructed(vae, photograph)

    assert peak_signal_noise_ratio(photograph, found, data_range=1) >= EXPECTED[name][2]


def test_ramps_from_black_to_white_stay_grey(vae):
    up = np.linspace(0, 1, SIDE)
    ramps = np.stack([np.tile(up, (SIDE, 1)), np.tile(up[:, None], (1, SIDE)), (up[:, None] + up) / 2])

    np.testing.assert_array_less(np.abs(color_error(vae, ramps)), 1 / 255)


def test_flat_greys_stay_grey(vae):
    levels = np.array([0.1, 0.25, 0.5, 0.75, 0.9])

    error = color_error(vae, np.broadcast_to(levels[:, None, None], (len(levels), SIDE, SIDE)))

    # Farther from photographs than a ramp is, so that group normalisation sees no such variance in training.
    np.testing.assert_array_less(np.abs(error), 2 / 255)


def test_flat_areas_have_no_checks(vae):
    """The mean of every place of an 8×8 square, over all squares of a flat grey: a pattern of up-sampling is in it."""
    grey = np.full((1, SIDE, SIDE, 3), 0.5, "float32")
    inner = reconstructed(vae, grey)[0, 64:-64, 64:-64]
    places = inner.reshape(16, 8, 16, 8, 3).mean(axis=(0, 2))

    assert np.ptp(places, axis=(0, 1)).max() < 2 / 255
