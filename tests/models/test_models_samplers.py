"""Draws of the prior and of a Gaussian mixture: their densities, their order, their seeds."""

import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.layers import StandardNormal
from keras_vae.models import VAE, GaussianMixtureSampler, PriorSampler

MIXTURE = GaussianMixtureSampler(
    weights=np.array([0.25, 0.75]),
    means=np.array([[-20.0, 0.0], [20.0, 5.0]]),
    covariances=np.array([[[1.0, 0.0], [0.0, 4.0]], [[2.0, 1.2], [1.2, 1.0]]]),
)
PRIOR = PriorSampler(StandardNormal((2,)))
SAMPLERS = pytest.mark.parametrize("sampler", [PRIOR, MIXTURE], ids=lambda sampler: sampler.name)


def test_draws_of_the_prior_are_those_that_the_model_decodes():
    undecoded = SimpleNamespace(bottleneck=PRIOR.prior, decode=lambda z, labels: z)

    draws = PRIOR.sample(3, seed=5)

    np.testing.assert_array_equal(draws, keras.random.normal((3, 2), seed=5))
    np.testing.assert_array_equal(draws, VAE.sample(undecoded, 3, seed=5))


@SAMPLERS
def test_the_same_seed_gives_the_same_draws_and_another_seed_others(sampler):
    draws = sampler.sample(7, seed=1)

    assert draws.shape == (7, 2)
    assert draws.dtype == np.float32
    np.testing.assert_array_equal(draws, sampler.sample(7, seed=1))
    assert not np.isclose(draws, sampler.sample(7, seed=2)).any()


def test_draws_of_the_mixture_have_its_shares_means_and_covariances():
    count = 20_000
    draws = MIXTURE.sample(count, seed=0)
    is_second = draws[:, 0] > 0  # the components are thirty deviations apart

    for weight, mean, covariance, part in zip(
        MIXTURE.weights, MIXTURE.means, MIXTURE.covariances, (draws[~is_second], draws[is_second]), strict=True
    ):
        deviation = np.sqrt(np.diag(covariance))
        # Five standard errors of each estimate.
        assert abs(len(part) / count - weight) < 5 * np.sqrt(weight * (1 - weight) / count)
        assert (abs(part.mean(axis=0) - mean) < 5 * deviation / np.sqrt(len(part))).all()
        bound = 5 * np.sqrt((covariance**2 + np.outer(deviation, deviation) ** 2) / len(part))
        assert (abs(np.cov(part.T) - covariance) < bound).all()


def test_draws_of_the_mixture_do_not_come_component_by_component():
    is_second = MIXTURE.sample(400, seed=0)[:, 0] > 0

    changes = (is_second[1:] != is_second[:-1]).sum()

    # Neighbours differ with probability 2·¼·¾: 150 of 399, with a deviation of about 10.
    assert 100 < changes < 200


def test_a_fit_finds_the_clusters_and_their_moments():
    rng = np.random.default_rng(0)
    clusters = [rng.normal(0.0, 1.0, (30, 2)) @ [[1.0, 0.0], [0.8, 0.5]] + 50, rng.normal(0.0, 2.0, (70, 2)) - 50]
    z = rng.permutation(np.concatenate(clusters)).astype("float32")

    fitted = GaussianMixtureSampler.fit(z, components=2)

    order = np.argsort(-fitted.means[:, 0])
    np.testing.assert_allclose(fitted.weights[order], [0.3, 0.7], rtol=1e-6)
    for component, cluster in zip(order, clusters, strict=True):
        # float32 latents of size 50
        np.testing.assert_allclose(fitted.means[component], cluster.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(fitted.covariances[component], np.cov(cluster.T, bias=True), atol=1e-4)
    np.testing.assert_array_equal(
        fitted.sample(4, seed=0), GaussianMixtureSampler.fit(z, components=2).sample(4, seed=0)
    )


def test_a_fit_to_equal_points_is_silent_and_draws_them():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = GaussianMixtureSampler.fit(np.full((12, 2), 3.0, "float32"), components=10)

    # scikit-learn adds 1e-6 to the variances, and no draw of a few is seven deviations out.
    np.testing.assert_allclose(fitted.sample(5, seed=0), 3.0, atol=7e-3)


def test_fewer_latents_than_components_are_refused():
    with pytest.raises(InputError, match="a mixture of 10 components needs at least as many latents, got 9"):
        GaussianMixtureSampler.fit(np.zeros((9, 2)))
