"""The reparameterised draw against the Gaussian it is drawn from."""

import keras
import numpy as np
import pytest

from keras_vae.layers import GaussianSampling

DRAWS = 20_000


def draw(layer, mean, log_var):
    return keras.ops.convert_to_numpy(layer(np.asarray(mean, "float32"), np.asarray(log_var, "float32")))


def test_many_draws_have_the_mean_and_the_deviation_asked_for():
    mean, log_var = np.tile([[0.7, -3.0]], (DRAWS, 1)), np.tile([[-1.0, 1.5]], (DRAWS, 1))
    deviation = np.exp(log_var[0] / 2)

    z = draw(GaussianSampling(seed=0), mean, log_var)

    # five standard errors: deviation / √n of the mean, deviation / √(2n) of the deviation
    np.testing.assert_allclose((z.mean(0) - mean[0]) / deviation, 0.0, atol=5 / np.sqrt(DRAWS))
    np.testing.assert_allclose(z.std(0) / deviation, 1.0, atol=5 / np.sqrt(2 * DRAWS))
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / np.sqrt(DRAWS)


def test_the_gradient_is_that_of_the_reparameterised_draw(gradients):
    rng = np.random.default_rng(0)
    mean, log_var = (keras.Variable(rng.normal(size=(4, 3)).astype("float32")) for _ in range(2))
    z = draw(GaussianSampling(seed=3), mean.numpy(), log_var.numpy())
    layer = GaussianSampling(seed=3)

    by_mean, by_log_var = gradients(
        lambda: keras.ops.sum(layer(keras.ops.convert_to_tensor(mean), keras.ops.convert_to_tensor(log_var))),
        [mean, log_var],
    )

    np.testing.assert_array_equal(by_mean, 1.0)
    np.testing.assert_allclose(by_log_var, 0.5 * (z - mean.numpy()), atol=1e-6)


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    zeros = np.zeros((4, 3))

    first, again, other = (draw(GaussianSampling(seed), zeros, zeros) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_every_call_draws_afresh():
    layer, zeros = GaussianSampling(seed=1), np.zeros((4, 3))

    assert np.abs(draw(layer, zeros, zeros) - draw(layer, zeros, zeros)).min() > 0


def test_without_a_seed_two_layers_draw_differently():
    zeros = np.zeros((4, 3))

    assert np.abs(draw(GaussianSampling(), zeros, zeros) - draw(GaussianSampling(), zeros, zeros)).min() > 0


def test_no_variance_draws_the_mean_of_any_shape():
    mean = np.random.default_rng(0).normal(size=(2, 3, 3, 4)).astype("float32")

    z = draw(GaussianSampling(seed=0), mean, np.full(mean.shape, -60.0))

    np.testing.assert_allclose(z, mean, atol=1e-6)


@pytest.fixture
def half_precision():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy(before)


@pytest.mark.usefixtures("half_precision")
def test_draws_stay_in_float32_under_a_mixed_policy():
    assert draw(GaussianSampling(seed=0), np.zeros((2, 2)), np.full((2, 2), 20.0)).dtype == np.float32
