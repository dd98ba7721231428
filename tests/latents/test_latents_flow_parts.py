"""Parts of a flow: inverses, and log-determinants against the Jacobian that autodiff gives."""

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis import example, given, settings

from keras_vae.latents.coupling import SplineCoupling
from keras_vae.latents.invertible_linear import InvertibleLinear
from keras_vae.latents.spline import inverse_spline, spline, spline_parameters


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def with_random_weights(layer, latent_dim, scale, seed):
    layer.build((None, latent_dim))
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign_add(scale * random.standard_normal(weight.shape).astype("float32"))
    return layer


def jacobian(layer, row, gradients):
    """du/dz of one row, by one gradient for each output."""
    z = keras.Variable(row[None])
    return np.stack([gradients(lambda i=i: layer(z.value)[0][0, i], [z])[0][0] for i in range(len(row))])


# Few sizes, since JAX compiles each operation again for each.
couplings = st.fixed_dictionaries(
    {"width": st.just(8), "bins": st.sampled_from([2, 8]), "bound": st.floats(1, 6), "flip": st.booleans()}
)


@settings(max_examples=15)
@given(st.one_of(st.none(), couplings), st.sampled_from([1, 2, 5]), st.floats(0, 0.5), st.integers(0, 2**16))
@example({"width": 8, "bins": 2, "bound": 3.0, "flip": True}, 1, 0.5, 0)
def test_a_part_is_inverted_and_its_log_determinant_is_autodiffs(gradients, coupling, latent_dim, scale, seed):
    part = InvertibleLinear() if coupling is None else SplineCoupling(**coupling)
    layer = with_random_weights(part, latent_dim, scale, seed)
    row = 2 * np.random.default_rng(seed + 1).standard_normal(latent_dim).astype("float32")
    slopes = jacobian(layer, row, gradients).astype("float64")
    u, log_det = layer(row[None])
    sign, expected = np.linalg.slogdet(slopes)
    assert sign == 1
    assert to_numpy(log_det)[0] == pytest.approx(expected, abs=1e-4)
    # A rounding error of u is one of z times the inverse's slope.
    tolerance = 1e-5 * max(1, np.linalg.norm(np.linalg.inv(slopes), 2))
    np.testing.assert_allclose(to_numpy(layer.inverse(u))[0], row, atol=tolerance)


@pytest.mark.parametrize("part", [SplineCoupling(8), SplineCoupling(8, flip=True), InvertibleLinear()])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_a_new_part_is_the_identity(part, latent_dim):
    layer = type(part).from_config(part.get_config())
    z = 3 * np.random.default_rng(0).standard_normal((50, latent_dim)).astype("float32")
    u, log_det = layer(z)
    np.testing.assert_allclose(to_numpy(u), z, atol=1e-5)
    np.testing.assert_allclose(to_numpy(log_det), 0, atol=1e-5)


def test_a_coupling_keeps_one_half_on_which_alone_the_other_halfs_splines_depend():
    z = np.random.default_rng(0).standard_normal((1, 5)).astype("float32")
    changed = z.copy()
    changed[0, 4] += 0.5
    for flip in (False, True):
        layer = with_random_weights(SplineCoupling(8, flip=flip), 5, 0.5, 0)
        side = slice(None, None, -1) if flip else slice(None)
        u, of_changed = (to_numpy(layer(values[:, side])[0])[:, side] for values in (z, changed))
        np.testing.assert_array_equal(u[:, :2], z[:, :2])
        assert (u[:, 2:] != z[:, 2:]).all()
        np.testing.assert_array_equal(of_changed[:, :4], u[:, :4])
        assert of_changed[0, 4] != u[0, 4]


@settings(max_examples=20)
@given(st.sampled_from([2, 8, 50]), st.floats(0.5, 10), st.floats(0, 8), st.integers(0, 2**16))
def test_a_spline_rises_from_end_to_end_with_the_slope_it_states(bins, bound, scale, seed):
    random = np.random.default_rng(seed)
    parameters = np.tile(scale * random.standard_normal(spline_parameters(bins)).astype("float32"), (2001, 1))
    x = np.linspace(-1.2 * bound, 1.2 * bound, 2001, dtype="float32")
    y, log_slope = (to_numpy(output) for output in spline(x, parameters, bound))
    assert (np.diff(y) > -1e-5 * bound).all()
    assert np.isfinite(log_slope).all()
    outside = np.abs(x) >= bound
    np.testing.assert_array_equal(y[outside], x[outside])
    np.testing.assert_array_equal(log_slope[outside], 0)
    # The slope integrates to the rise of the spline.
    rise = np.sum(np.exp(log_slope.astype("float64"))[:-1] * np.diff(x)) if scale < 1 else y[-1] - y[0]
    assert rise == pytest.approx(y[-1] - y[0], rel=0.02)


@settings(max_examples=20)
@given(st.sampled_from([2, 8]), st.floats(0, 2), st.integers(0, 2**16))
def test_a_spline_is_inverted(bins, scale, seed):
    random = np.random.default_rng(seed)
    parameters = scale * random.standard_normal((500, spline_parameters(bins))).astype("float32")
    x = random.uniform(-6, 6, 500).astype("float32")
    y, log_slope = spline(x, parameters, 5.0)
    # A rounding error of y is one of x over the slope.
    tolerance = 1e-5 * np.maximum(1, np.exp(-to_numpy(log_slope)))
    assert (np.abs(to_numpy(inverse_spline(y, parameters, 5.0)) - x) < tolerance).all()
