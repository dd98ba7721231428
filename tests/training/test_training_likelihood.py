"""Importance sampling against the closed form of a linear Gaussian model.

``x = W z + b + σ ε`` where W has orthogonal columns, so the posterior is a diagonal Gaussian like an encoder's.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tiny_training import make_vae, random_images

from keras_vae.errors import InputError
from keras_vae.layers import StandardNormal
from keras_vae.training.likelihood import importance_sampled_nll, nll_per_image

SIGMA = 0.7
BIASES = np.stack([np.linspace(0.0, 1.0, 6), np.linspace(1.0, -1.0, 6)]).astype("float32")
WEIGHTS = np.zeros((6, 2), "float32")
WEIGHTS[:3, 0], WEIGHTS[3:, 1] = [1.0, -0.5, 2.0], [0.3, 0.4, -0.6]
IMAGES = np.random.default_rng(0).normal(0.3, 1.0, (4, 3, 2, 1)).astype("float32")
LABELS = np.array([0, 1, 1, 0], "int32")


class LinearGaussian:
    """The parts of a model that `importance_sampled_nll` needs; ``broader`` multiplies the posterior's variance."""

    latent_dim = 2
    latent_shape = (2,)
    prior = StandardNormal((2,))
    variational = True
    likelihood = "gaussian"
    likelihood_scale = SIGMA

    def __init__(self, broader=1.0):
        self.variance = 1 / (1 + np.square(WEIGHTS).sum(axis=0) / SIGMA**2)
        self.broader = broader

    def encode_flat(self, images, labels=None):
        flat = np.reshape(images, (-1, 6))
        mean = (flat - BIASES[_classes(labels, flat)]) @ WEIGHTS * (self.variance / SIGMA**2)
        return mean.astype("float32"), np.full_like(mean, np.log(self.broader * self.variance), "float32")

    def decode(self, z, labels=None):
        bias = tf.gather(BIASES, _classes(labels, z)) if labels is not None else BIASES[:1]
        return tf.reshape(z @ WEIGHTS.T + bias, (-1, 3, 2, 1))


def _classes(labels, rows):
    return np.zeros(len(rows), int) if labels is None else labels


def closed_form(labels=None):
    covariance = WEIGHTS @ WEIGHTS.T + SIGMA**2 * np.eye(6)
    biases = BIASES[_classes(labels, IMAGES)]
    return -stats.multivariate_normal(cov=covariance).logpdf(IMAGES.reshape(-1, 6) - biases)


@pytest.mark.parametrize("samples", [1, 5])
@pytest.mark.parametrize("labels", [None, LABELS], ids=["unconditional", "conditional"])
def test_importance_sampled_nll_of_a_linear_gaussian_model_is_its_closed_form(samples, labels):
    nll = importance_sampled_nll(LinearGaussian(), IMAGES, samples, labels=labels)

    assert nll.shape == (4,)
    # Under the exact posterior every draw has the same weight, which leaves only float32 rounding.
    np.testing.assert_allclose(nll, closed_form(labels), rtol=1e-5)


def test_a_broader_proposal_gives_the_closed_form_up_to_the_spread_of_its_weights():
    samples = 4000

    nll = importance_sampled_nll(LinearGaussian(broader=2.0), IMAGES, samples, batch_size=1000)

    # E[w²]/E[w]² is 2/√3 for each dimension whose proposal has twice the variance, so the mean of K weights has
    # the relative variance (4/3 - 1)/K. The bound is five standard deviations.
    np.testing.assert_allclose(nll, closed_form(), rtol=0, atol=5 * np.sqrt(1 / 3 / samples))


def test_with_one_sample_it_is_the_negative_elbo_in_the_mean():
    model, repeats = LinearGaussian(broader=2.0), 4000
    mean, log_var = (parameter[0].astype("float64") for parameter in model.encode_flat(IMAGES))
    variance = np.exp(log_var)
    squared_error = np.square(IMAGES[0].ravel() - WEIGHTS @ mean - BIASES[0]).sum()
    spread = np.square(WEIGHTS) @ variance
    expected_nll = 3 * np.log(2 * np.pi * SIGMA**2) + (squared_error + spread.sum()) / (2 * SIGMA**2)
    kl = 0.5 * (mean**2 + variance - 1 - log_var).sum()

    nll = importance_sampled_nll(model, np.repeat(IMAGES[:1], repeats, axis=0), 1, batch_size=1000)

    assert abs(nll.mean() - (expected_nll + kl)) < 5 * nll.std() / np.sqrt(repeats)
    assert nll.std() > 0.1


def test_the_result_depends_on_the_seed_and_not_on_the_batches():
    model = LinearGaussian(broader=2.0)

    nll = importance_sampled_nll(model, IMAGES, 7, seed=1)

    for batch_size in (1, 3, 7, 10):
        # The weights of an image are added up in another order.
        np.testing.assert_allclose(
            importance_sampled_nll(model, IMAGES, 7, batch_size=batch_size, seed=1), nll, rtol=1e-5
        )
    assert not np.isclose(importance_sampled_nll(model, IMAGES, 7, seed=2), nll).any()


@pytest.mark.usefixtures("step_by_step")
def test_no_more_than_a_batch_is_decoded_at_a_time(monkeypatch):
    model, sizes = LinearGaussian(), []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z, labels=None: sizes.append(len(z)) or decode(z, labels))

    importance_sampled_nll(model, IMAGES, 5, batch_size=8)

    assert sizes == [8, 8, 4]


def test_weights_too_small_for_float32_do_not_underflow():
    far = IMAGES + 300  # exp(-10^5) is zero in any floating-point format
    nll = importance_sampled_nll(LinearGaussian(broader=1.2), far, 20, batch_size=7)

    assert np.isfinite(nll).all()
    assert (nll > 1e4).all()


def test_pixels_of_a_split_count_as_fractions_of_255():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 2, 1), np.uint8)

    nll = importance_sampled_nll(LinearGaussian(), pixels, 3)

    np.testing.assert_allclose(nll, importance_sampled_nll(LinearGaussian(), pixels / 255, 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "log_density"),
    [
        ("gaussian", lambda x, y: stats.norm(y, 0.3).logpdf(x)),
        ("laplace", lambda x, y: stats.laplace(y, 0.3).logpdf(x)),
        ("bernoulli", lambda x, y: x * np.log(y) + (1 - x) * np.log(1 - y)),
    ],
)
def test_the_nll_of_an_image_is_that_of_the_models_likelihood(likelihood, log_density):
    vae = make_vae(likelihood=likelihood, scale=0.3)
    images, reconstructions = random_images(3), 0.1 + 0.8 * random_images(3, seed=1)

    nll = nll_per_image(vae, images, reconstructions)

    expected = -log_density(images.astype("float64"), reconstructions.astype("float64")).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(nll, expected, rtol=1e-5)


def test_a_plain_autoencoder_and_numbers_below_one_are_refused():
    deterministic = LinearGaussian()
    deterministic.variational = False
    with pytest.raises(InputError, match="not variational"):
        importance_sampled_nll(deterministic, IMAGES, 5)
    with pytest.raises(InputError, match="samples and batch-size must be at least 1, got 0 and 256"):
        importance_sampled_nll(LinearGaussian(), IMAGES, 0)
