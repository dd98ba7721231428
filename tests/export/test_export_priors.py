"""An exported model draws from its own prior; models that cannot are refused before anything is written."""

import keras
import numpy as np
import pytest
from stand_ins import EVALUATION

from keras_vae.errors import InputError
from keras_vae.export.export import export_saved_model
from keras_vae.export.loading import load_exported
from keras_vae.latents import AutoregressiveCodes, Bottleneck, LatentFlow, VectorQuantizer
from keras_vae.layers import Prior
from keras_vae.models import VAE

SHAPE = (8, 8, 1)
FEW_LAYERS = {"widths": (4,), "groups": 2, "attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
IMAGES = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), np.uint8)


class OnlySamples(Prior):
    """N(0, I) without a function of noise."""

    def log_prob(self, z):
        return -0.5 * keras.ops.sum(keras.ops.square(z) + np.log(2 * np.pi), axis=-1)

    def sample(self, count, seed=None):
        return keras.random.normal((count, *self.latent_shape), seed=seed)


class OnlySamplesVAE(VAE):
    def make_prior(self):
        return OnlySamples(self.latent_shape)


class OwnBottleneck(Bottleneck):
    """No more than a constructor needs."""

    def build(self, *shapes):
        super().build(*shapes)
        self.prior = OnlySamples(self.latent_shape)


def publish(vae, folder):
    return export_saved_model(vae, folder / "digits", images=IMAGES, tflite=False, evaluation=EVALUATION)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow", "latent-flow"])
def test_an_exported_model_draws_what_the_model_draws(prior, tmp_path):
    latent = {"latent_shape": (4, 4, 2)} if prior == "latent-flow" else {"latent_dim": 2}
    keras.utils.set_random_seed(0)
    vae = VAE(SHAPE, **latent, **FEW_LAYERS, prior=prior, prior_components=3)
    rng = np.random.default_rng(0)
    for weight in (*vae.encoder.trainable_weights, *vae.prior.trainable_weights):
        weight.assign_add(0.1 * rng.standard_normal(weight.shape).astype("float32"))  # no start is left as it was

    exported = load_exported(publish(vae, tmp_path))

    assert exported.manifest.prior == prior
    # The same numbers in other kernels; a flow amplifies their rounding.
    np.testing.assert_allclose(exported.prior.sample(5, seed=3), vae.prior.sample(5, seed=3), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(exported.sample(5, seed=3), vae.sample(5, seed=3), atol=1e-3)
    with pytest.raises(InputError, match="does not hold its density"):
        exported.prior.log_prob(np.zeros((1, 2), "float32"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["latent-flow", "codes"])
def test_an_exported_model_draws_by_the_classes_of_its_prior(kind, tmp_path):
    keras.utils.set_random_seed(0)
    if kind == "codes":
        prior = AutoregressiveCodes(6, (4, 4), 8, 1, 2, num_classes=2, name="prior")
        given = {"bottleneck": VectorQuantizer(6, prior=prior)}
    else:
        given = {"prior": LatentFlow((4, 4, 2), (8,), 1, num_classes=2, steps=2, name="prior")}
    vae = VAE(SHAPE, **FEW_LAYERS, latent_shape=(4, 4, 2), **given)
    rng = np.random.default_rng(0)
    for weight in vae.prior.trainable_weights:
        weight.assign_add(0.5 * rng.standard_normal(weight.shape).astype("float32"))

    exported = load_exported(publish(vae, tmp_path))

    assert (exported.manifest.prior, exported.num_classes, exported.sample_classes) == (kind, None, 2)
    labels = np.array([0, 1, 1, 0, 2], "int32")
    drawn = exported.sample(5, seed=3, labels=labels)
    np.testing.assert_allclose(drawn, vae.sample(5, 3, labels), atol=1e-3)
    assert not np.allclose(drawn, exported.sample(5, seed=3, labels=1 - np.minimum(labels, 1)), atol=1e-3)
    # Without labels, all draws are of none.
    none = np.full(5, 2, "int32")
    np.testing.assert_array_equal(exported.sample(5, seed=3), exported.sample(5, seed=3, labels=none))
    np.testing.assert_allclose(exported.prior.sample(5, 3, labels), vae.bottleneck.sample(5, 3, labels), atol=1e-3)


@pytest.mark.parametrize(
    ("vae", "message"),
    [
        (lambda: OnlySamplesVAE(SHAPE, **FEW_LAYERS), "OnlySamples, has no method draw"),
        (
            lambda: VAE(SHAPE, **FEW_LAYERS, bottleneck=OwnBottleneck()),
            "bottleneck OwnBottleneck are not exported",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(vae, message, tmp_path):
    with pytest.raises(InputError, match=message):
        publish(vae(), tmp_path)
    assert not list(tmp_path.iterdir())
