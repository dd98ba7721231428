"""Finite scalar quantisation against NumPy by the paper's equations."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_vae.errors import InputError
from keras_vae.latents import FiniteScalarQuantizer

LEVELS = st.lists(st.integers(3, 9), min_size=1, max_size=5).map(tuple)


def parameters(levels):
    levels = np.asarray(levels, "float64")
    half = (levels - 1) * 1.001 / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    return half, offset, np.arctanh(offset / half), levels // 2


def reference(features, levels):
    """z and codes of features (N, len(levels)), in float64."""
    half, offset, shift, half_width = parameters(levels)
    rounded = np.round(np.tanh(features.astype("float64") + shift) * half - offset)
    places = np.concatenate([[1], np.cumprod(levels[:-1])])
    return rounded / half_width, ((rounded + half_width) * places).sum(axis=-1).astype(int)


def features_of(z, levels):
    """Features in the middle of the cell of z: the inverse of the bound."""
    half, offset, shift, half_width = parameters(levels)
    return np.arctanh((z * half_width + offset) / half) - shift


def built(levels, shape=None):
    layer = FiniteScalarQuantizer(levels)
    layer.build((None, *(shape or (len(levels),))))
    return layer


@given(levels=LEVELS, seed=st.integers(0, 2**16), scale=st.floats(0.1, 10))
def test_channels_are_rounded_to_their_levels(levels, seed, scale):
    features = np.random.default_rng(seed).normal(scale=scale, size=(50, len(levels))).astype("float32")
    latents = built(levels)(features)
    z, codes = reference(features, levels)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(latents["codes"]).ravel(), codes)
    np.testing.assert_allclose(latents["z"], z, rtol=1e-6)


@given(levels=LEVELS, seed=st.integers(0, 2**16))
def test_every_code_has_a_vector_of_its_own_whose_code_it_is(levels, seed):
    layer = built(levels)
    codes = np.random.default_rng(seed).integers(0, layer.codebook_size, (50, 1))
    z = keras.ops.convert_to_numpy(layer.embed(codes))
    assert np.abs(z).max() <= 1
    found = keras.ops.convert_to_numpy(layer.codes_of(features_of(z, levels).astype("float32")))
    np.testing.assert_array_equal(found, codes)


def test_a_position_has_a_code_for_each_group_of_channels(make_features, values):
    layer, flat = built((5, 4), (2, 3, 6)), built((5, 4))
    latents = values(layer(make_features((2, 3, 6))))
    expected = values(flat.codes_of(make_features((2, 3, 6)).reshape(-1, 2)))
    np.testing.assert_array_equal(latents["codes"], expected.reshape(5, 2, 3, 3))


@pytest.mark.parametrize("levels", [3, 4, 7, 8])
def test_zero_is_a_level_in_the_middle(levels, values):
    layer = built((levels,))
    near_zero = np.linspace(-0.1, 0.1, 9, dtype="float32")[:, None]
    np.testing.assert_array_equal(values(layer(near_zero)["z"]), np.zeros((9, 1)))


def test_large_features_take_the_outermost_levels(values):
    z = values(built((8, 5))(np.array([[1e6, 1e6], [-1e6, -1e6]], "float32"))["z"])
    np.testing.assert_allclose(z, [[0.75, 1.0], [-1.0, -1.0]])


def test_the_gradient_goes_straight_through_the_rounding(make_features, gradients):
    levels, weights = (8, 5, 4), make_features((3,), seed=9)
    layer, features = built(levels), keras.Variable(make_features((3,)))
    (found,) = gradients(lambda: keras.ops.sum(keras.ops.multiply(layer(features.value)["z"], weights)), [features])
    half, _, shift, half_width = parameters(levels)
    slope = (1 - np.tanh(make_features((3,)) + shift) ** 2) * half / half_width
    np.testing.assert_allclose(found, weights * slope, rtol=1e-4, atol=1e-6)


def test_there_is_nothing_to_train_and_no_loss(make_features):
    layer = built((8, 5, 5, 5))
    assert not layer.trainable_weights
    assert layer.codebook_size == 1000
    assert layer(make_features((4,)))["losses"] == {}


@pytest.mark.parametrize("levels", [(), (2, 5), (8,) * 9])
def test_levels_out_of_range_are_refused(levels):
    with pytest.raises(InputError, match="levels must be at least 3 each and make at most 16777216 codes"):
        FiniteScalarQuantizer(levels)
