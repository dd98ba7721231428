"""A latent flow that is fitted to a finished model of spatial latents."""

import keras
import numpy as np
import pytest
from tiny_training import make_vae, random_images

from keras_vae.data import ArraySplit
from keras_vae.errors import InputError
from keras_vae.latents import LatentFlow
from keras_vae.models import VAE
from keras_vae.training.fit_latent_flow import fit_latent_flow
from keras_vae.training.posteriors import posterior_draws

IMAGES = ArraySplit((255 * random_images(120)).astype(np.uint8))
BRIEF = {"epochs": 8, "batch_size": 9, "learning_rate": 0.01}


class SmallFlowVAE(VAE):
    """Its flow has one narrow level."""

    def make_prior(self):
        return LatentFlow(self.latent_shape, (8,), 1, steps=8, name="prior") if self._prior_name != "normal" else None


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    vae = SmallFlowVAE((12, 12, 1), latent_shape=(6, 6, 2), widths=(8,), groups=4, attention_resolution=0)
    vae.encoder.mean_head.bias.assign([3.0, -2.0])
    return vae


@pytest.mark.slow
def test_draws_of_a_fitted_flow_are_where_the_posteriors_are_and_the_networks_stay_bit_for_bit(vae):
    before = [np.array(weight) for weight in (*vae.encoder.weights, *vae.decoder.weights)]

    fitted, fit = fit_latent_flow(vae, IMAGES, **BRIEF)

    for model in (vae, fitted):
        for was, weight in zip(before, (*model.encoder.weights, *model.decoder.weights), strict=True):
            np.testing.assert_array_equal(weight, was)
    # A field of zeros has the loss E ‖x_1 - x_0‖² = 2, of standardised latents.
    assert fit.matching_loss < 1.95
    assert fit.epochs == 8
    _, draws, _ = posterior_draws(vae, IMAGES, 120)
    draws = draws.reshape(-1, 2)
    sampled = np.asarray(fitted.bottleneck.sample(100, seed=0)).reshape(-1, 2)
    np.testing.assert_allclose(sampled.mean(axis=0), draws.mean(axis=0), atol=0.3)
    assert fitted.sample(2, seed=0).shape == (2, 12, 12, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "one of spatial latents"), ({"latent_shape": (6, 6, 2), "num_classes": 3}, "draws without labels")],
)
def test_a_model_that_cannot_have_a_flow_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        fit_latent_flow(make_vae(**options), IMAGES)
