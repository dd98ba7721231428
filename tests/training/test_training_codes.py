"""Training a model whose latent is made of codes."""

import keras
import numpy as np
import pytest

from keras_vae.config import ObjectiveConfig
from keras_vae.latents import FiniteScalarQuantizer, VectorQuantizer
from keras_vae.models import VAE
from keras_vae.training import VAETrainer

pytestmark = pytest.mark.usefixtures("step_by_step")
SHAPE = {"image_shape": (8, 8, 1), "widths": (4, 8), "groups": 2, "latent_shape": (2, 2, 4), "attention_resolution": 0}
IMAGES = np.random.default_rng(0).random((8, 8, 8, 1)).astype("float32")


def trainer_of(bottleneck, **options):
    keras.utils.set_random_seed(0)
    vae = VAE(**SHAPE, bottleneck=bottleneck)
    trainer = VAETrainer(vae, config=ObjectiveConfig(beta_start=1.0), **options)
    trainer.compile(keras.optimizers.SGD(1e-3))
    return trainer


def numbers_of(layer):
    return {weight.name: np.array(weight) for weight in layer.weights}


def test_training_reports_the_rate_of_the_codes_and_how_they_are_used():
    trainer = trainer_of(VectorQuantizer(16, seed=0))

    logs = trainer.train_on_batch(IMAGES, return_dict=True)

    assert logs["kl"] == pytest.approx(4 * np.log(16), rel=1e-6)  # four codes of sixteen
    assert logs["elbo"] == pytest.approx(-(logs["nll"] + logs["kl"]), rel=1e-5)
    assert logs["commitment"] > 0
    codes = np.bincount(np.array(trainer.vae.encode_codes(IMAGES)).ravel(), minlength=16)
    assert 1 <= logs["perplexity"] <= 16
    assert 0 < logs["used_codes"] <= 1
    assert codes.sum() == 32


def test_the_loss_of_a_test_includes_the_bottlenecks():
    trainer = trainer_of(VectorQuantizer(16, seed=0))

    logs = trainer.test_on_batch(IMAGES, return_dict=True)

    assert logs["loss"] == pytest.approx(logs["nll"] + logs["kl"] + logs["commitment"], rel=1e-5)


def test_a_batch_in_two_passes_teaches_the_codebook_what_it_does_at_once():
    whole, halves = (trainer_of(VectorQuantizer(16, seed=0), accumulate=passes) for passes in (1, 2))

    for trainer in (whole, halves):
        trainer.train_on_batch(IMAGES)

    expected, found = numbers_of(whole.vae.bottleneck), numbers_of(halves.vae.bottleneck)
    assert expected["usage"].sum() > 0
    for name, value in expected.items():
        # Sums in another order, float32.
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6)


def test_a_step_that_is_skipped_teaches_the_codebook_nothing():
    trainer = trainer_of(VectorQuantizer(16, seed=0))
    before = numbers_of(trainer.vae.bottleneck)
    trainer.vae.decoder.to_image.bias.assign([np.nan])

    trainer.train_on_batch(IMAGES)

    assert float(trainer.skipped_steps.result()) == 1
    for name, value in numbers_of(trainer.vae.bottleneck).items():
        np.testing.assert_array_equal(value, before[name])


def test_codes_by_rounding_train_without_a_loss_of_their_own():
    trainer = trainer_of(FiniteScalarQuantizer((4, 4, 4, 4)))

    losses = [trainer.train_on_batch(IMAGES, return_dict=True)["mse"] for _ in range(8)]

    assert losses[-1] < losses[0]
    assert trainer.vae.bottleneck.loss_names == ()


def test_free_bits_are_refused_for_codes():
    vae = VAE(**SHAPE, bottleneck=VectorQuantizer(16))
    with pytest.raises(ValueError, match="free bits need a KL of each latent dimension"):
        VAETrainer(vae, config=ObjectiveConfig(free_bits=0.5))
