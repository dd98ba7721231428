"""The residual block against NumPy."""

import keras
import numpy as np
import pytest

from keras_vae.layers import ResidualBlock


def silu(x):
    return x / (1.0 + np.exp(-x))


@pytest.mark.parametrize("filters", [8, 12], ids=["identity", "projection"])
def test_residual_block_is_its_equation(group_norm, convolve, randomize, filters):
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 8)).astype("float32")
    block = ResidualBlock(filters, groups=4)
    block.build(x.shape)
    randomize(block)

    y = keras.ops.convert_to_numpy(block(x))

    expected = x
    for norm, conv in zip(block.norms, block.convs, strict=True):
        gamma, beta = norm.get_weights()
        expected = convolve(silu(group_norm(expected, 4, gamma, beta)), *conv.get_weights())
    expected = expected + (x if filters == 8 else convolve(x, *block.skip.get_weights()))
    # float32 sums of 9·12 products of order one, twice
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_the_skip_is_a_projection_only_where_the_width_changes():
    same, wider = ResidualBlock(8, groups=4), ResidualBlock(12, groups=4)
    for block in (same, wider):
        block.build((None, 6, 6, 8))

    assert same.skip is None
    assert wider.skip.kernel.shape == (1, 1, 8, 12)


@pytest.mark.parametrize(("width", "filters", "named"), [(10, 8, 10), (8, 10, 10)])
def test_groups_that_do_not_divide_a_width_are_refused_by_name(width, filters, named):
    with pytest.raises(ValueError, match=f"ResidualBlock: groups=4 does not divide the width {named}"):
        ResidualBlock(filters, groups=4).build((None, 6, 6, width))
