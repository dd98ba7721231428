"""Continuous bottlenecks: the Gaussian one against SciPy, and the one of a plain autoencoder."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from keras_vae.latents import GaussianBottleneck, PointBottleneck
from keras_vae.layers import Prior


@keras.saving.register_keras_serializable(package="tests")
class Wide(Prior):
    """N(0, 4) in every dimension."""

    def log_prob(self, z):
        return keras.ops.sum(-0.5 * keras.ops.square(z / 2) - np.log(2) - 0.5 * np.log(2 * np.pi), axis=-1)

    def sample(self, count, seed=None):
        return 2 * keras.random.normal((count, *self.latent_shape), seed=seed)


@pytest.fixture
def posterior():
    random = np.random.default_rng(0)
    return random.normal(size=(5, 3)).astype("float32"), random.normal(size=(5, 3)).astype("float32")


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def test_z_is_the_reparameterised_draw(posterior):
    mean, log_var = posterior
    epsilon = np.random.default_rng(1).standard_normal((5, 3)).astype("float32")
    z = to_numpy(GaussianBottleneck()(mean, log_var, epsilon)["z"])
    np.testing.assert_allclose(z, norm.ppf(norm.cdf(epsilon), mean, np.exp(log_var / 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 3)])
def test_the_kl_to_the_standard_normal_prior_is_the_sum_over_dimensions(shape):
    random = np.random.default_rng(0)
    mean, log_var = (random.normal(size=(5, *shape)).astype("float32") for _ in range(2))
    latents = GaussianBottleneck()(mean, log_var)
    expected = 0.5 * (mean.astype("float64") ** 2 + np.exp(log_var.astype("float64")) - 1 - log_var)
    np.testing.assert_allclose(to_numpy(latents["kl_per_dimension"]), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_numpy(latents["kl"]), expected.reshape(5, -1).sum(axis=1), rtol=1e-5)


def test_another_prior_estimates_the_kl_from_the_draw(posterior):
    mean, log_var = posterior
    latents = GaussianBottleneck(Wide((3,)))(mean, log_var)
    z = to_numpy(latents["z"]).astype("float64")
    expected = (norm.logpdf(z, mean, np.exp(log_var / 2)) - norm.logpdf(z, 0, 2)).sum(axis=1)
    np.testing.assert_allclose(to_numpy(latents["kl"]), expected, rtol=1e-4, atol=1e-4)
    assert "kl_per_dimension" not in latents


def test_samples_come_from_the_prior():
    bottleneck = GaussianBottleneck(Wide((3,)))
    draws = to_numpy(bottleneck.sample(4000, seed=0))
    assert draws.std() == pytest.approx(2, rel=0.05)
    np.testing.assert_array_equal(draws, to_numpy(bottleneck.sample(4000, seed=0)))


def test_the_point_bottleneck_does_nothing(posterior):
    mean, log_var = posterior
    latents = PointBottleneck()(mean, log_var)
    np.testing.assert_array_equal(to_numpy(latents["z"]), mean)
    np.testing.assert_array_equal(to_numpy(latents["kl"]), np.zeros(5))


@pytest.mark.parametrize(
    "bottleneck", [GaussianBottleneck(Wide((3,)), seed=4), GaussianBottleneck(), PointBottleneck()]
)
def test_a_bottleneck_survives_its_config(bottleneck):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(bottleneck), safe_mode=True)
    assert type(copy) is type(bottleneck)
    assert type(copy.prior) is type(bottleneck.prior)
    assert copy.get_config() == bottleneck.get_config()


def test_a_bottleneck_works_in_a_functional_model(posterior):
    inputs = [keras.Input((3,)), keras.Input((3,))]
    latents = PointBottleneck()(*inputs)
    model = keras.Model(inputs, [latents["z"], latents["kl"]])
    z, kl = model(list(posterior))
    np.testing.assert_array_equal(to_numpy(z), posterior[0])
    assert to_numpy(kl).shape == (5,)
