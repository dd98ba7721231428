"""Figures of a whole split against NumPy on the model's own reconstructions."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tiny_training import make_vae, random_images

from keras_vae import metrics
from keras_vae.data import ArraySplit
from keras_vae.losses import LPIPS
from keras_vae.training.evaluation import evaluate_model

SPLIT = ArraySplit((255 * random_images(9)).astype(np.uint8))
IMAGES = SPLIT.images.astype("float32") / np.float32(255)


@pytest.fixture(autouse=True)
def _step_by_step():
    """Tracing the evaluation would take longer than making it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_the_figures_are_those_of_the_reconstructions_whatever_the_batches():
    vae = make_vae()
    vae.likelihood_scale.assign(0.3)
    reconstructions = np.asarray(vae.reconstruct(IMAGES))
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(IMAGES))
    expected = {
        "kl": 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=1).mean(),
        "mse": np.square(IMAGES - reconstructions).mean(),
        "psnr": np.asarray(metrics.psnr(IMAGES, reconstructions)).mean(),
        "ssim": np.asarray(metrics.ssim(IMAGES, reconstructions)).mean(),
        "lpips": np.asarray(LPIPS(reduction=None)(IMAGES, reconstructions)).mean(),
    }

    in_two = evaluate_model(vae, SPLIT, batch_size=5)
    in_one = evaluate_model(vae, SPLIT, batch_size=32)

    for measured in (in_two, in_one):
        assert measured.keys() == expected.keys() | {"nll", "elbo"}
        for name, value in expected.items():
            # float32 sums over a hundred pixels, in convolutions of another batch size for LPIPS
            assert measured[name] == pytest.approx(value, rel=1e-4), name
        assert measured["elbo"] == pytest.approx(-(measured["nll"] + measured["kl"]), rel=1e-6)
    # The ELBO is estimated with one draw an image, and the draws fall otherwise in other batches: an untrained decoder
    # hardly moves with z.
    assert in_one["nll"] == pytest.approx(in_two["nll"], rel=0.05)


def test_the_likelihood_is_that_of_draws_of_the_posterior_and_the_seed_repeats_them():
    vae = make_vae()
    vae.likelihood_scale.assign(0.3)
    first = evaluate_model(vae, SPLIT, seed=3)
    again = evaluate_model(vae, SPLIT, seed=3)
    assert first == again

    mean, log_var = vae.encode(IMAGES)
    draws = [
        -stats.norm(np.asarray(vae.decode(vae.sampling(mean, log_var))), 0.3).logpdf(IMAGES).sum() / 9
        for _ in range(20)
    ]
    # One more draw of what these are draws of: within five of their standard deviations.
    assert abs(first["nll"] - np.mean(draws)) < 5 * np.std(draws) + 1e-3


def test_a_plain_autoencoder_has_one_likelihood():
    vae = make_vae(variational=False)
    vae.likelihood_scale.assign(0.3)
    expected = -stats.norm(np.asarray(vae.reconstruct(IMAGES)), 0.3).logpdf(IMAGES).sum(axis=(1, 2, 3)).mean()

    measured = evaluate_model(vae, SPLIT, batch_size=4)

    assert measured["kl"] == 0
    assert measured["nll"] == pytest.approx(expected, rel=1e-5)
