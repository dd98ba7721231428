"""Training on the IWAE bound, against SciPy."""

import keras
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli, norm

from keras_vae.config import ObjectiveConfig
from keras_vae.errors import InputError
from keras_vae.latents import VectorQuantizer
from keras_vae.models import VAE
from keras_vae.training import VAETrainer
from keras_vae.training.objective import Objective
from keras_vae.training.step_losses import Batch, StepLosses

DRAWS = 5
SHAPE = {"image_shape": (8, 8, 1), "widths": (4,), "groups": 2, "attention_resolution": 0, "mapping_layers": 0}
IMAGES = np.random.default_rng(0).integers(0, 2, (3, 8, 8, 1)).astype("float32")


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_the_loss_is_the_importance_weighted_bound(beta):
    vae = VAE(**SHAPE, likelihood="bernoulli", scale=1.0)
    objective = Objective(ObjectiveConfig(importance_samples_train=DRAWS), "bernoulli")
    epsilon = np.random.default_rng(1).standard_normal((3, DRAWS, 2)).astype("float32")

    parts, made = StepLosses(objective, vae).autoencoder(Batch(IMAGES, None, epsilon), lambda name, own: own, beta)

    mean, log_var = (numpy_of(part).astype("float64")[:, None] for part in vae.encode(IMAGES))
    z = mean + np.exp(log_var / 2) * epsilon
    pixels = numpy_of(vae.decode(z.reshape(-1, 2).astype("float32"))).astype("float64").reshape(3, DRAWS, 64)
    log_likelihood = bernoulli.logpmf(IMAGES.reshape(3, 1, 64), pixels).sum(axis=2)
    log_ratio = (norm.logpdf(z, mean, np.exp(log_var / 2)) - norm.logpdf(z)).sum(axis=2)
    log_weights = log_likelihood - beta * log_ratio
    expected = -(logsumexp(log_weights, axis=1) - np.log(DRAWS)).mean()
    found = float(parts["nll"] + parts["prior_loss"])
    # Sums of 64 pixels in float32.
    assert found == pytest.approx(expected, rel=1e-5)
    assert float(parts["nll"]) == pytest.approx(-log_likelihood.mean(), rel=1e-5)
    assert found < -log_weights.mean()  # Jensen's inequality
    # The first draw of each image goes to the other losses.
    np.testing.assert_allclose(numpy_of(made.reconstructions).reshape(3, 64), pixels[:, 0], atol=1e-5)


def test_a_batch_in_passes_gives_the_step_of_the_whole_batch(step_by_step):
    config, weights = ObjectiveConfig(importance_samples_train=DRAWS), []
    for passes in (1, 3):
        keras.utils.set_random_seed(0)
        trainer = VAETrainer(VAE(**SHAPE, likelihood="bernoulli", scale=1.0, seed=0), config=config, accumulate=passes)
        trainer.compile(keras.optimizers.SGD(1e-4))
        before = trainer.vae.encoder.stem.kernel.numpy()
        trainer.train_on_batch(IMAGES)
        weights.append(trainer.vae.get_weights())
        assert not np.array_equal(before, trainer.vae.encoder.stem.kernel.numpy())

    for whole, in_passes in zip(*weights, strict=True):
        # Sums in another order, float32.
        np.testing.assert_allclose(in_passes, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "settings"),
    [({"variational": False}, {}), ({"bottleneck": VectorQuantizer(8)}, {}), ({}, {"free_bits": 1})],
)
def test_what_has_no_bound_is_refused(model, settings):
    with pytest.raises(InputError, match="IWAE bound needs a Gaussian posterior, and has no free bits"):
        VAETrainer(VAE(**SHAPE, **model), config=ObjectiveConfig(importance_samples_train=2, **settings))
