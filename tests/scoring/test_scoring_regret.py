"""The likelihood regret, against the closed form of a linear model."""

import types

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from keras_vae.errors import InputError
from keras_vae.layers.prior import StandardNormal
from keras_vae.scoring import Scorer, VAEDetector
from keras_vae.scoring.regret import LikelihoodRegret

SIZE, NOISE = 3, 0.5


def linear_vae(weights, mean, log_var):
    """p(x | z) = N(W z, NOISE²), N(0, I) as the prior, and the same posterior for every image."""
    return types.SimpleNamespace(
        latent_dim=2,
        latent_shape=(2,),
        likelihood="gaussian",
        likelihood_scale=NOISE,
        prior=StandardNormal((2,)),
        encode_flat=lambda images, labels: tuple(np.tile(row, (len(images), 1)) for row in (mean, log_var)),
        decode=lambda z: keras.ops.reshape(keras.ops.matmul(z, weights), (-1, SIZE, SIZE, 1)),
    )


@pytest.mark.parametrize("count", [1, 5])
def test_with_a_linear_decoder_the_best_elbo_is_the_marginal_likelihood(count):
    rng = np.random.default_rng(0)
    # Orthogonal directions, so that the true posterior has a diagonal covariance.
    weights = (np.linalg.qr(rng.standard_normal((SIZE * SIZE, 2)))[0] * [1.5, 0.7]).T.astype("float32")
    mean, log_var = np.array([0.3, -0.4], "float32"), np.array([-1.0, -2.0], "float32")
    images = rng.standard_normal((count, SIZE, SIZE, 1)).astype("float32")

    found = LikelihoodRegret(linear_vae(weights, mean, log_var), steps=200)(images)

    precision = 1 + (weights**2).sum(axis=1) / NOISE**2
    flat = images.reshape(count, -1).astype(float)
    evidence = multivariate_normal(cov=weights.T @ weights + NOISE**2 * np.eye(SIZE * SIZE)).logpdf(flat)
    # The ELBO of q is the evidence less KL(q, true posterior): this KL is all that there is to regret.
    true_mean = flat @ weights.T / NOISE**2 / precision
    ratio = np.exp(log_var) * precision
    kl = 0.5 * (ratio - 1 - np.log(ratio) + (mean - true_mean) ** 2 * precision).sum(axis=1)
    expected_nll = ((flat - mean @ weights) ** 2).sum(axis=1) + (np.exp(log_var) * (weights**2).sum(axis=1)).sum()
    constant = SIZE * SIZE * np.log(2 * np.pi * NOISE**2)
    prior_kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum()
    elbo = -0.5 * (expected_nll / NOISE**2 + constant) - prior_kl
    np.testing.assert_allclose(np.atleast_1d(evidence) - elbo, kl, rtol=1e-6)
    np.testing.assert_allclose(found, kl, rtol=0.05, atol=0.05)


def test_images_beyond_a_batch_get_what_they_get_alone(vae, squares, monkeypatch):
    images = squares(5, 0)
    regret = LikelihoodRegret(vae, steps=2)
    together = regret(images)

    monkeypatch.setattr("keras_vae.scoring.regret.images_at_a_time", lambda shape: 2)

    np.testing.assert_allclose(LikelihoodRegret(vae, steps=2)(images), together, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(regret(images), regret(images))


def test_the_weights_of_the_model_stay_as_they_are(vae, squares):
    before = vae.get_weights()

    LikelihoodRegret(vae, steps=2)(squares(2, 0))

    for weight, value in zip(vae.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert vae.trainable


def test_a_scorer_has_it_as_one_more_measure_and_keeps_it_in_its_file(vae, squares, tmp_path):
    scorer = Scorer(vae, "vae", regret_steps=2)
    scorer.run_eagerly = True
    scorer.fit(squares(8, 0), held_out=squares(4, 1))
    scorer.save(tmp_path / "scorer.keras")

    again = keras.saving.load_model(tmp_path / "scorer.keras")
    again.run_eagerly = True

    assert again.measure_names[-1] == "likelihood_regret"
    images = squares(3, 2)
    found = scorer.measure(images)
    np.testing.assert_allclose(again.measure(images), found, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(scorer.detectors[0].slow_measures_of(images)["likelihood_regret"], found[:, -1])


def test_a_model_without_a_posterior_is_refused_in_one_line(vae):
    with pytest.raises(InputError, match="steps of likelihood regret are taken with the VAE, which the method padim"):
        Scorer(vae, "padim", regret_steps=3)
    plain = types.SimpleNamespace(variational=False)
    with pytest.raises(InputError, match="steps of likelihood regret take a posterior and the density of a prior"):
        VAEDetector(plain, regret_steps=3)
