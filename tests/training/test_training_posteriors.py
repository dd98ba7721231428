"""The posteriors of a split, computed in batches, and the mixture over them."""

import numpy as np
import pytest
from tiny_training import make_vae, random_images

from keras_vae.data import ArraySplit
from keras_vae.models import GaussianMixtureSampler
from keras_vae.training.posteriors import fit_mixture, posterior_draws

pytestmark = pytest.mark.usefixtures("step_by_step")

PIXELS = (255 * random_images(9)).astype(np.uint8)
IMAGES = PIXELS.astype("float32") / np.float32(255)
LABELS = np.arange(9, dtype=np.int32) % 3


def test_the_means_are_the_encoders_and_the_draws_have_its_deviation_whatever_the_batches():
    vae = make_vae()
    mean, log_var = (np.asarray(parameter) for parameter in vae.encode(IMAGES))

    means, draws, labels = posterior_draws(vae, ArraySplit(PIXELS, LABELS), batch_size=4, seed=2)

    np.testing.assert_allclose(means, mean, atol=1e-5)
    np.testing.assert_array_equal(labels, LABELS)
    noise = np.random.default_rng(2).standard_normal((9, 2), np.float32)
    np.testing.assert_allclose(draws, mean + np.exp(log_var / 2) * noise, atol=1e-5)


def test_a_limit_takes_the_first_images_even_in_the_middle_of_a_batch():
    vae = make_vae(num_classes=3)
    split = ArraySplit(PIXELS, LABELS)
    means, draws, _ = posterior_draws(vae, split, batch_size=4)

    first_means, first_draws, first_labels = posterior_draws(vae, split, limit=6, batch_size=4)

    np.testing.assert_array_equal(first_means, means[:6])
    np.testing.assert_array_equal(first_draws, draws[:6])
    np.testing.assert_array_equal(first_labels, LABELS[:6])


def test_the_latents_of_a_plain_autoencoder_are_its_codes():
    vae = make_vae(variational=False)

    means, draws, labels = posterior_draws(vae, ArraySplit(PIXELS))

    np.testing.assert_allclose(means, np.asarray(vae.encode(IMAGES)[0]), atol=1e-6)
    np.testing.assert_array_equal(draws, means)
    assert labels is None


def test_the_mixture_is_fitted_to_the_draws():
    vae, split = make_vae(), ArraySplit(PIXELS)
    _, draws, _ = posterior_draws(vae, split, seed=4)
    expected = GaussianMixtureSampler.fit(draws, components=2, seed=4)

    mixture = fit_mixture(vae, split, components=2, seed=4)

    np.testing.assert_allclose(mixture.sample(5, seed=0), expected.sample(5, seed=0), rtol=1e-6)
