"""Spectral normalisation against the singular value decomposition, and its gradient against finite differences."""

import keras
import numpy as np
import pytest

from keras_vae.layers import SpectralConv2D

rng = np.random.default_rng(0)


@pytest.fixture
def layer(randomize):
    layer = SpectralConv2D(4, 3)
    layer.build((None, 3, 3, 2))
    return randomize(layer)


def applied_kernel(layer):
    """The kernel that convolves, read off the answers to one lit pixel in the middle of each channel."""
    channels = layer.kernel.shape[2]
    lit = np.zeros((channels, 3, 3, channels), "float32")
    lit[range(channels), 1, 1, range(channels)] = 1.0
    answers = keras.ops.convert_to_numpy(layer(lit) - layer.bias)
    return answers[:, ::-1, ::-1].transpose(1, 2, 0, 3)


def largest_singular_value(kernel):
    return np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


def test_the_applied_kernel_has_largest_singular_value_one_after_training_calls(layer):
    images = np.zeros((1, 3, 3, 2), "float32")
    for _ in range(60):
        layer(images, training=True)

    kernel = applied_kernel(layer)

    own = layer.kernel.numpy()
    assert largest_singular_value(own) > 1.5
    # power iteration from below, converged to the digits of float32
    assert largest_singular_value(kernel) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(kernel * largest_singular_value(own), own, rtol=1e-3, atol=1e-4)


def test_a_training_call_tracks_sigma_and_leaves_the_kernel_as_it_was(layer):
    kernel, left = layer.kernel.numpy(), layer.left.numpy()

    layer(np.ones((1, 3, 3, 2), "float32"), training=True)

    np.testing.assert_array_equal(layer.kernel.numpy(), kernel)
    assert np.abs(layer.left.numpy() - left).max() > 1e-3


def test_a_call_outside_training_changes_no_weight(layer):
    before = layer.get_weights()

    layer(np.ones((1, 3, 3, 2), "float32"))

    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_goes_through_sigma(gradients, convolve, randomize, stride):
    images = rng.normal(size=(2, 5, 6, 2)).astype("float32")
    layer = SpectralConv2D(3, 3, stride)
    layer.build(images.shape)
    randomize(layer)
    kernel = layer.kernel.numpy().astype("float64")
    slopes = rng.normal(size=layer(images).shape).astype("float32")
    right = layer.left.numpy() @ kernel.reshape(-1, 3).T
    right /= np.linalg.norm(right)
    left = right @ kernel.reshape(-1, 3)
    left /= np.linalg.norm(left)

    def loss_of(kernel):
        sigma = (right @ kernel.reshape(-1, 3) @ left.T).item()
        return np.sum(slopes * convolve(images, kernel / sigma, layer.bias.numpy(), stride))

    (gradient,) = gradients(lambda: keras.ops.sum(keras.ops.multiply(slopes, layer(images))), [layer.kernel])

    steps = 1e-5 * np.eye(kernel.size).reshape(-1, *kernel.shape)
    expected = [(loss_of(kernel + step) - loss_of(kernel - step)) / 2e-5 for step in steps]
    # float32 sums of some thirty products of order one
    np.testing.assert_allclose(gradient.ravel(), expected, rtol=1e-3, atol=1e-4)
