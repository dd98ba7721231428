"""Priors: the standard normal one against SciPy, and what every other gets from the base."""

import keras
import numpy as np
import pytest
from scipy.stats import norm

from keras_vae.layers import Prior, StandardNormal


@keras.saving.register_keras_serializable(package="tests")
class Shifted(Prior):
    """N(1, 4) in every dimension."""

    def log_prob(self, z):
        return keras.ops.sum(-0.5 * keras.ops.square((z - 1) / 2) - np.log(2) - 0.5 * np.log(2 * np.pi), axis=-1)

    def sample(self, count, seed=None):
        return 1 + 2 * keras.random.normal((count, *self.latent_shape), seed=seed)


@pytest.fixture
def posterior():
    random = np.random.default_rng(0)
    return random.normal(size=(5, 3)).astype("float32"), random.normal(size=(5, 3)).astype("float32")


def to_numpy(values):
    return keras.ops.convert_to_numpy(values)


def test_the_standard_normal_density_is_scipys():
    z = np.random.default_rng(1).normal(size=(4, 2, 2, 3)).astype("float32")
    expected = norm.logpdf(z.astype("float64")).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(to_numpy(StandardNormal((2, 2, 3)).log_prob(z)), expected, rtol=1e-6)


@pytest.mark.parametrize(("prior", "loc", "scale"), [(StandardNormal((3,)), 0, 1), (Shifted((3,)), 1, 2)])
def test_the_kl_is_what_draws_of_the_posterior_say(prior, loc, scale, posterior):
    mean, log_var = (np.repeat(array[:1], 200_000, axis=0) for array in posterior)
    z = mean + np.exp(0.5 * log_var) * np.random.default_rng(2).standard_normal(mean.shape, "float32")
    log_posterior = norm.logpdf(z, mean, np.exp(0.5 * log_var)).sum(axis=1)
    expected = (log_posterior - norm.logpdf(z, loc, scale).sum(axis=1)).mean()
    # Two hundred thousand draws, whose standard error is below 0.01 nats.
    assert to_numpy(prior.kl(mean, log_var, z)).mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("kind", [StandardNormal, Shifted])
def test_draws_have_the_latents_shape_and_go_by_the_seed(kind):
    prior = kind((2, 2, 3))
    first, again, other = (to_numpy(prior.sample(4, seed=seed)) for seed in (1, 1, 2))
    assert first.shape == (4, 2, 2, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_prior_survives_its_config():
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Shifted((3,))), safe_mode=True)
    assert isinstance(copy, Shifted)
    assert copy.latent_shape == (3,)
