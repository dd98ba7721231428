"""GroupNorm against its formula and against Keras's own layer."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.layers import GroupNorm

# E[x²] - E[x]² in float32 loses mean²/variance × 1e-7 of the variance; four positions may have little of it.
ATOL = 1e-3


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sides=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    groups=st.integers(1, 3),
    channels_each=st.integers(1, 3),
    offset=st.floats(-3, 3),
)
def test_group_norm_is_its_formula(group_norm, randomize, seed, sides, groups, channels_each, offset):
    x = np.random.default_rng(seed).normal(offset, 1.0, (2, *sides, groups * channels_each)).astype("float32")
    layer = GroupNorm(groups)
    layer.build(x.shape)
    randomize(layer, seed)

    y = keras.ops.convert_to_numpy(layer(x))

    expected = group_norm(x, groups, layer.gamma.numpy(), layer.beta.numpy())
    np.testing.assert_allclose(y, expected, atol=ATOL)


@pytest.mark.parametrize("parts", [{}, {"scale": False}, {"center": False}, {"scale": False, "center": False}], ids=str)
def test_group_norm_equals_that_of_keras_with_the_same_weights(randomize, parts):
    x = np.random.default_rng(0).normal(1.0, 2.0, (3, 6, 5, 8)).astype("float32")
    ours, theirs = GroupNorm(4, **parts), keras.layers.GroupNormalization(4, epsilon=1e-5, **parts)
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(randomize(ours).get_weights())

    difference = keras.ops.convert_to_numpy(ours(x) - theirs(x))

    # two orders of summation in float32, of numbers of order one
    np.testing.assert_allclose(difference, 0.0, atol=1e-5)


@pytest.mark.parametrize("activation", [None, "silu"])
def test_the_gradient_is_that_of_keras_with_the_same_weights(randomize, gradients, activation):
    rng = np.random.default_rng(0)
    x = keras.Variable(rng.normal(1.0, 2.0, (3, 6, 5, 8)).astype("float32"))
    weights = keras.ops.convert_to_tensor(rng.normal(size=x.shape).astype("float32"))
    ours, theirs = GroupNorm(4, activation=activation), keras.layers.GroupNormalization(4, epsilon=1e-5)
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(randomize(ours).get_weights())
    activate = keras.activations.get(activation)

    found = gradients(lambda: keras.ops.sum(ours(x) * weights), [x, ours.gamma, ours.beta])

    expected = gradients(lambda: keras.ops.sum(activate(theirs(x)) * weights), [x, theirs.gamma, theirs.beta])
    for one, other in zip(found, expected, strict=True):
        # sums over 90 products of order one in float32
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_activation_is_applied_before_the_result_is_rounded(randomize):
    x = keras.ops.cast(np.random.default_rng(0).normal(size=(2, 6, 6, 8)), "bfloat16")
    layer, wide = GroupNorm(4, activation="silu", dtype="mixed_bfloat16"), GroupNorm(4, dtype="float32")
    for each in (layer, wide):
        each.build(x.shape)
    wide.set_weights(randomize(layer).get_weights())

    y = keras.ops.cast(layer(x), "float32")

    expected = keras.ops.silu(wide(keras.ops.cast(x, "float32")))
    # one rounding to 8 bits, and the weights' to as many
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (y, expected)), rtol=2.0**-7, atol=2.0**-7)


def test_an_activation_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="activation must be silu or None, got 'relu'"):
        GroupNorm(4, activation="relu")


@pytest.mark.parametrize(("policy", "value"), [("float32", 0.0), ("float32", 1e3), ("mixed_float16", 300.0)])
def test_constant_input_gives_finite_output_and_gradients(gradients, policy, value):
    layer = GroupNorm(4, dtype=policy)
    x = keras.Variable(np.full((2, 4, 4, 8), value, "float32"))
    layer.build(x.shape)

    # float16 cannot hold mean / √epsilon of this input, so the parts must not be cast before they are added
    y = keras.ops.convert_to_numpy(layer(keras.ops.cast(x, layer.compute_dtype)))
    found = gradients(
        lambda: keras.ops.sum(keras.ops.cast(layer(keras.ops.cast(x, layer.compute_dtype)), "float32")),
        [x, layer.gamma, layer.beta],
    )

    assert np.isfinite(y.astype("float32")).all()
    assert all(np.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize(("policy", "digits"), [("mixed_bfloat16", 8), ("mixed_float16", 11)])
def test_half_precision_rounds_the_result_alone(group_norm, randomize, policy, digits):
    layer = GroupNorm(4, dtype=policy)
    x = keras.ops.cast(np.random.default_rng(0).normal(10.0, 1.0, (2, 6, 6, 8)), layer.compute_dtype)
    layer.build(x.shape)
    randomize(layer)

    y = keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))

    wide = keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))
    expected = group_norm(wide, 4, layer.gamma.numpy(), layer.beta.numpy())
    # one rounding to ``digits`` bits; ATOL is for the statistics, whose mean² is a hundred times the variance
    np.testing.assert_allclose(y, expected, rtol=2.0**-digits, atol=ATOL)
    assert layer(x).dtype == x.dtype


def test_a_mixed_policy_takes_float32_input():
    layer = GroupNorm(4, dtype="mixed_bfloat16")

    y = layer(np.ones((1, 3, 3, 8), "float32"))

    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
