"""A prior that is fitted to a finished model: better than N(0, I), and nothing else changes."""

import keras
import numpy as np
import pytest
from tiny_training import make_vae, random_images

from keras_vae.data import ArraySplit
from keras_vae.errors import InputError
from keras_vae.latents import AutoregressiveCodes, GaussianBottleneck, LatentFlow, VectorQuantizer, prior_name
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


@pytest.mark.parametrize("name", ["vamp", "mixture", pytest.param("flow", marks=pytest.mark.slow)])
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


@pytest.mark.slow
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


SPATIAL = {"latent_shape": (6, 6, 2), "widths": (8,), "groups": 4, "attention_resolution": 0}


@pytest.mark.slow
def test_draws_of_a_fitted_latent_flow_are_where_the_posteriors_are():
    keras.utils.set_random_seed(0)
    vae = VAE((12, 12, 1), **SPATIAL)
    vae.encoder.mean_head.bias.assign([3.0, -2.0])
    vae.scaling_factor.assign(0.25)
    split = ArraySplit(IMAGES.images[:120])
    before = [np.array(weight) for weight in (*vae.encoder.weights, *vae.decoder.weights)]

    flow = LatentFlow((6, 6, 2), (8,), 1, steps=8, name="prior")
    fitted, fit = fit_prior(vae, split, flow, epochs=8, batch_size=9, learning_rate=0.01)

    for model in (vae, fitted):
        for was, weight in zip(before, (*model.encoder.weights, *model.decoder.weights), strict=True):
            np.testing.assert_array_equal(weight, was)
    assert float(fitted.scaling_factor) == 0.25
    # A field of zeros has the loss E ‖x_1 - x_0‖² = 2, of standardised latents.
    assert fit.loss < 1.95
    assert (fit.prior, fit.num_classes, fit.epochs, fit.loss_before) == ("latent-flow", None, 8, None)
    _, draws, _ = posterior_draws(vae, split, 120)
    draws = draws.reshape(-1, 2)
    sampled = np.asarray(fitted.bottleneck.sample(100, seed=0)).reshape(-1, 2)
    np.testing.assert_allclose(sampled.mean(axis=0), draws.mean(axis=0), atol=0.3)
    assert fitted.sample(2, seed=0).shape == (2, 12, 12, 1)


@pytest.fixture(scope="module")
def of_codes():
    """A model of 6×6 codes of 16, and black and white images in turns, with labels that tell them apart."""
    keras.utils.set_random_seed(0)
    vae = VAE((12, 12, 1), **SPATIAL, bottleneck=VectorQuantizer(16))
    vae.bottleneck.usage.assign(np.arange(16, dtype="float32"))
    images = np.repeat(np.array([0, 255], np.uint8)[np.arange(60) % 2], 144).reshape(60, 12, 12, 1)
    return vae, ArraySplit(images, np.arange(60, dtype=np.int32) % 2)


@pytest.mark.slow
def test_a_fitted_prior_of_codes_draws_what_the_encoder_gives_of_each_class(of_codes, tmp_path):
    vae, split = of_codes
    black, white = np.asarray(vae.encode_codes(split.images[:2]))
    assert (black != white).any()

    prior = AutoregressiveCodes(16, (6, 6), 16, 1, 2, num_classes=2, name="prior")
    fitted, fit = fit_prior(vae, split, prior, epochs=20, batch_size=9, learning_rate=0.02)

    assert (fit.prior, fit.num_classes) == ("codes", 2)
    assert fit.loss_before == pytest.approx(36 * np.log(16), rel=1e-5)
    # Half of the images are black: that is a bit, the rest is known.
    assert fit.loss < 3
    for name in ("usage", "codebook", "spread"):
        np.testing.assert_array_equal(getattr(fitted.bottleneck, name), getattr(vae.bottleneck, name))
    drawn = np.asarray(fitted.prior.sample(20, 0, np.repeat([0, 1], 10).astype("int32"))).reshape(2, 10, 6, 6)
    assert (drawn[0] == black).mean() > 0.95
    assert (drawn[1] == white).mean() > 0.95

    fitted.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert (again.num_classes, again.sample_classes) == (None, 2)
    labels = np.array([0, 1, 1], "int32")
    np.testing.assert_array_equal(again.sample(3, 1, labels), fitted.sample(3, 1, labels))
    refitted, _ = fit_prior(again, split, AutoregressiveCodes(16, (6, 6), 8, 1, 2), epochs=1)
    assert refitted.sample_classes is None


@pytest.mark.parametrize(
    ("prior", "options", "message"),
    [
        ("latent-flow", {}, "one of spatial latents"),
        ("latent-flow", {"latent_shape": (6, 6, 2), "bottleneck": VectorQuantizer(4)}, "has codes, so choose codes"),
        ("codes", {}, "codes, which the model has not"),
    ],
)
def test_a_model_that_cannot_have_the_priors_of_grids_is_refused(prior, options, message):
    with pytest.raises(InputError, match=message):
        fit_prior(make_vae(**options), IMAGES, prior)


@pytest.mark.parametrize(
    ("split", "num_classes", "message"),
    [
        (IMAGES, 3, "needs images with labels"),
        (ArraySplit(IMAGES.images, np.arange(200, dtype=np.int32) % 4), 3, "needs labels below that, got 3"),
    ],
)
def test_a_conditional_prior_refuses_labels_that_it_cannot_learn(split, num_classes, message):
    flow = LatentFlow((6, 6, 2), (8,), 1, num_classes=num_classes)
    with pytest.raises(InputError, match=message):
        fit_prior(make_vae(latent_shape=(6, 6, 2)), split, flow)


def test_labels_are_for_priors_that_have_them(vae):
    with pytest.raises(InputError, match="prior flow has no labels"):
        fit_prior(vae, IMAGES, "flow", num_classes=3)
