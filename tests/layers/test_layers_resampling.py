"""Halving and doubling of the resolution, against sums over neighbours in NumPy."""

import keras
import numpy as np
import pytest

from keras_vae.layers import Downsampling2D, Upsampling2D

rng = np.random.default_rng(0)

# float32 sums of 9·C products of order one
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def convolved(padded, kernel, stride):
    """3×3 convolution without padding, in float64."""
    height, width = ((side - 3) // stride + 1 for side in padded.shape[1:3])
    taps = [
        padded[:, row : row + stride * (height - 1) + 1 : stride, column : column + stride * (width - 1) + 1 : stride]
        @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    ]
    return np.sum(taps, axis=0)


@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (2, 1), (1, 4)])
def test_upsampling_is_a_convolution_over_repeated_positions(randomize, sides):
    features = rng.normal(size=(2, *sides, 3)).astype("float32")
    layer = Upsampling2D(4)
    layer.build(features.shape)
    randomize(layer)

    y = keras.ops.convert_to_numpy(layer(features))

    kernel, bias = (keras.ops.convert_to_numpy(weight).astype("float64") for weight in layer.weights)
    repeated = np.pad(features.repeat(2, axis=1).repeat(2, axis=2), [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_allclose(y, convolved(repeated, kernel, 1) + bias, **TOLERANCE)
    assert layer.compute_output_shape(features.shape) == y.shape


@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (3, 2)])
def test_downsampling_pads_the_end_alone(randomize, sides):
    features = rng.normal(size=(2, *sides, 3)).astype("float32")
    layer = Downsampling2D(4)
    layer.build(features.shape)
    randomize(layer)

    y = keras.ops.convert_to_numpy(layer(features))

    kernel, bias = (weight.astype("float64") for weight in layer.get_weights())
    padded = np.pad(features, [(0, 0), (0, 1), (0, 1), (0, 0)])
    np.testing.assert_allclose(y, convolved(padded, kernel, 2) + bias, **TOLERANCE)
    assert layer.compute_output_shape(features.shape) == y.shape == (2, sides[0] // 2, sides[1] // 2, 4)


def test_the_gradient_of_upsampling_is_that_of_the_plain_convolution(gradients, randomize):
    features = rng.normal(size=(2, 3, 4, 3)).astype("float32")
    weights = rng.normal(size=(2, 6, 8, 2)).astype("float32")
    layer = Upsampling2D(2)
    layer.build(features.shape)
    randomize(layer)

    found, _ = gradients(lambda: keras.ops.sum(keras.ops.multiply(layer(features), weights)), layer.trainable_variables)

    repeated = np.pad(features.repeat(2, axis=1).repeat(2, axis=2), [(0, 0), (1, 1), (1, 1), (0, 0)])
    taps = np.lib.stride_tricks.sliding_window_view(repeated, (6, 8), axis=(1, 2))
    expected = np.einsum("nijchw,nhwd->ijcd", taps, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
