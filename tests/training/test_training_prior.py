"""Training and evaluation use the model's own prior."""

import keras
import numpy as np
import pytest
from scipy.stats import norm
from tiny_training import AT_ONCE, FEW_LAYERS, SHAPE, compiled, random_images

from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError
from keras_vae.export.export import export_saved_model
from keras_vae.layers import Prior
from keras_vae.models import VAE
from keras_vae.training import VAETrainer
from keras_vae.training.evaluation import evaluation_report


@keras.saving.register_keras_serializable(package="tests")
class LearntMean(Prior):
    """N(mean, I) with a trainable mean."""

    def __init__(self, latent_shape, **kwargs):
        super().__init__(latent_shape, **kwargs)
        self.mean = self.add_weight(shape=self.latent_shape, initializer=keras.initializers.Constant(3.0), name="mean")

    def log_prob(self, z):
        return -0.5 * keras.ops.sum(keras.ops.square(z - self.mean) + np.log(2 * np.pi), axis=-1)

    def sample(self, count, seed=None):
        return self.mean + keras.random.normal((count, *self.latent_shape), seed=seed)


@keras.saving.register_keras_serializable(package="tests")
class LearntMeanVAE(VAE):
    def make_prior(self):
        return LearntMean(self.latent_shape, name="prior")


@pytest.fixture
def vae():
    return LearntMeanVAE(SHAPE, 2, groups=4, scale=0.3, **FEW_LAYERS)


def test_training_reports_the_kl_to_the_prior_and_moves_it(vae):
    trainer = compiled(VAETrainer(vae, config=AT_ONCE))
    images = random_images(64)
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(images))
    # The closed-form KL from N(mean, exp(log_var)) to N(3, 1).
    expected = 0.5 * (np.exp(log_var) + (mean - 3) ** 2 - 1 - log_var).sum(axis=1).mean()

    logs = trainer.train_on_batch(images, return_dict=True)

    # With one draw per image, the standard error over 64 images is below 0.5 nats.
    assert logs["kl"] == pytest.approx(expected, abs=2.0)
    assert expected > 7
    assert not np.allclose(vae.prior.mean, 3.0)


@pytest.mark.usefixtures("step_by_step")
def test_evaluation_measures_the_kl_to_the_prior(vae):
    splits = [ArraySplit((255 * random_images(count, seed)).astype(np.uint8)) for count, seed in ((12, 1), (40, 0))]
    report = evaluation_report(
        vae, ImageDataset("noise", "test", *splits), importance_samples=1, importance_images=40, components=2
    )
    metrics = report["metrics"]
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(splits[1].images.astype("float32") / 255))
    expected = 0.5 * (np.exp(log_var) + (mean - 3) ** 2 - 1 - log_var).sum(axis=1).mean()

    assert metrics["kl"] == pytest.approx(expected, abs=2.0)
    assert metrics["elbo"] == pytest.approx(-(metrics["nll"] + metrics["kl"]))
    # With one draw per image, this is the negative ELBO up to the noise of the draws.
    assert metrics["importance_nll"] - metrics["nll"] == pytest.approx(expected, abs=6.0)


def test_draws_are_of_the_prior_and_survive_the_keras_file(vae, tmp_path):
    draws = np.asarray(vae.prior.sample(2000, seed=0))
    # The standard error of 2,000 draws is 0.022.
    np.testing.assert_allclose(draws.mean(axis=0), norm(3).mean(), atol=0.1)
    vae.prior.mean.assign([1.0, -1.0])
    vae.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again.prior.mean, [1.0, -1.0])
    np.testing.assert_array_equal(again.sample(2, seed=0), vae.sample(2, seed=0))


def test_free_bits_and_export_are_refused(vae, tmp_path):
    with pytest.raises(ValueError, match="free bits"):
        VAETrainer(vae, config=AT_ONCE.replace(free_bits=0.1))
    with pytest.raises(InputError, match="LearntMean, has no method draw"):
        export_saved_model(vae, tmp_path / "model", images=(255 * random_images()).astype(np.uint8))
