"""A prior that is fitted to a finished model: better than N(0, I), and nothing else changes."""

import keras
import numpy as np
import pytest
from tiny_training import make_vae, random_images

from keras_vae.data import ArraySplit
from keras_vae.errors import InputError
from keras_vae.latents import GaussianBottleneck, LatentFlow, prior_name
from keras_vae.models import VAE
from keras_vae.training.fit_prior import fit_prior
from keras_vae.training.posteriors import posterior_draws

IMAGES = ArraySplit((255 * random_images(200)).astype(np.uint8))
BRIEF = {"components": 3, "epochs": 8, "batch_size": 45, "learning_rate": 0.005}


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    vae = make_vae()
    # Narrow posteriors around 3, so that N(0, I) is far from them.
    vae.encoder.mean_head.bias.assign([3.0, 3.0])
    vae.encoder.log_var_head.bias.assign([-2.0, -2.0])
    vae.likelihood_scale.assign(0.5)
    return vae


@pytest.mark.parametrize("name", ["vamp", "mixture", "flow"])
def test_a_fitted_prior_is_where_the_posteriors_are_and_the_networks_stay_bit_for_bit(vae, name):
    before = [np.array(weight) for weight in (*vae.encoder.weights, *vae.decoder.weights)]
    fitted, fit = fit_prior(vae, IMAGES, name, **BRIEF)

    assert prior_name(fitted.prior) == name
    assert prior_name(vae.prior) == "normal"
    for model in (vae, fitted):
        for was, weight in zip(before, (*model.encoder.weights, *model.decoder.weights), strict=True):
            np.testing.assert_array_equal(weight, was)
    assert float(fitted.likelihood_scale) == 0.5
    # The posteriors' means are spread too, so that the aggregate posterior has more entropy than the 0.8 nats of one.
    assert fit.loss_before > 9
    assert fit.loss < 3
    _, draws, _ = posterior_draws(vae, IMAGES, 200)
    # The fit's figure is of twenty draws, whose spread is about a nat.
    assert np.asarray(fitted.prior.log_prob(draws)).mean() == pytest.approx(-fit.loss, abs=1.0)
    sampled = np.asarray(fitted.prior.sample(1000, seed=0))
    np.testing.assert_allclose(sampled.mean(axis=0), draws.mean(axis=0), atol=0.3)


def test_the_same_seed_fits_the_same_prior(vae):
    weights = [fit_prior(vae, IMAGES, "mixture", **BRIEF, seed=5)[0].prior.get_weights() for _ in range(2)]
    for first, again in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, again)


def test_a_fitted_model_is_a_file_like_any_other(vae, tmp_path):
    fitted, _ = fit_prior(vae, IMAGES, "flow", **BRIEF)
    fitted.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again.sample(3, seed=1), fitted.sample(3, seed=1))


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({"variational": False}, "flow", "needs posteriors"),
        ({"latent_shape": (6, 6, 2)}, "flow", "is one of latent vectors"),
        ({"num_classes": 3}, "vamp", "have no labels"),
        ({"bottleneck": GaussianBottleneck()}, "flow", "a GaussianBottleneck of its own"),
    ],
)
def test_a_model_that_cannot_have_the_prior_is_refused(options, name, message):
    with pytest.raises(InputError, match=message):
        fit_prior(make_vae(**options), IMAGES, name)


def test_too_few_images_are_refused(vae):
    with pytest.raises(InputError, match="at least 20 training images"):
        fit_prior(vae, ArraySplit(IMAGES.images[:19]), "flow")


def test_a_model_that_makes_its_own_prior_is_refused():
    class OwnPrior(VAE):
        def make_prior(self):
            return None

    with pytest.raises(InputError, match="OwnPrior makes its own prior"):
        fit_prior(OwnPrior((12, 12, 1), 2, (8,), groups=4), IMAGES, "flow")


class SmallFlowVAE(VAE):
    """Its latent flow has one narrow level."""

    def make_prior(self):
        return LatentFlow(self.latent_shape, (8,), 1, steps=8, name="prior") if self._prior_name != "normal" else None


@pytest.mark.slow
def test_draws_of_a_fitted_latent_flow_are_where_the_posteriors_are():
    keras.utils.set_random_seed(0)
    vae = SmallFlowVAE((12, 12, 1), latent_shape=(6, 6, 2), widths=(8,), groups=4, attention_resolution=0)
    vae.encoder.mean_head.bias.assign([3.0, -2.0])
    split = ArraySplit(IMAGES.images[:120])
    before = [np.array(weight) for weight in (*vae.encoder.weights, *vae.decoder.weights)]

    fitted, fit = fit_prior(vae, split, "latent-flow", epochs=8, batch_size=9, learning_rate=0.01)

    for model in (vae, fitted):
        for was, weight in zip(before, (*model.encoder.weights, *model.decoder.weights), strict=True):
            np.testing.assert_array_equal(weight, was)
    # A field of zeros has the loss E ‖x_1 - x_0‖² = 2, of standardised latents.
    assert fit.loss < 1.95
    assert (fit.epochs, fit.loss_before) == (8, None)
    _, draws, _ = posterior_draws(vae, split, 120)
    draws = draws.reshape(-1, 2)
    sampled = np.asarray(fitted.bottleneck.sample(100, seed=0)).reshape(-1, 2)
    np.testing.assert_allclose(sampled.mean(axis=0), draws.mean(axis=0), atol=0.3)
    assert fitted.sample(2, seed=0).shape == (2, 12, 12, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "one of spatial latents"), ({"latent_shape": (6, 6, 2), "num_classes": 3}, "draws without labels")],
)
def test_a_model_that_cannot_have_a_latent_flow_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        fit_prior(make_vae(**options), IMAGES, "latent-flow")
