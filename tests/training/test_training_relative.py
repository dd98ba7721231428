"""Weights relative to the likelihood: what the loss is, and that it knows no scale of data, LPIPS or batch."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import AT_ONCE, SHAPE, absolute_distance, compiled, make_trainer, random_images, train_on

from keras_vae.config import ObjectiveConfig
from keras_vae.errors import InputError
from keras_vae.training import Objective

RELATIVE = AT_ONCE.replace(
    relative_weights=True, beta=0.7, perceptual_weight=0.5, adversarial_weight=0.02, perceptual_fraction=1.0
)
UNIT = math.prod(SHAPE) / 2


def test_the_reported_loss_is_that_of_the_documentation():
    logs = train_on(compiled(make_trainer(RELATIVE)), random_images())

    bracket = logs["nll"] + 0.5 * UNIT * math.log(logs["lpips"]) + 0.02 * UNIT * logs["adversarial"]
    assert logs["loss"] == pytest.approx(bracket / 1.5 + 0.7 * logs["kl"], rel=1e-5, abs=1e-4)
    assert logs["adversarial_weight"] == pytest.approx(0.02 * UNIT / 1.5)


def test_the_adaptive_weight_is_relative_to_the_gradient_of_the_reported_reconstruction():
    adaptive = RELATIVE.replace(adaptive_weight=True, adversarial_weight=0.5)
    logs = train_on(compiled(make_trainer(adaptive, seed=0)), random_images())

    bracket = logs["nll"] + 0.5 * UNIT * math.log(logs["lpips"])
    expected = bracket / 1.5 + 0.7 * logs["kl"] + logs["adversarial_weight"] * logs["adversarial"]
    assert logs["loss"] == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert Objective(adaptive, perceptual_loss=absolute_distance, values=144).adversarial_weight == 0.5


def test_without_a_perceptual_loss_the_likelihood_counts_whole():
    logs = train_on(compiled(make_trainer(RELATIVE, perceptual=None, discriminator=False)), random_images())
    assert logs["loss"] == pytest.approx(logs["nll"] + 0.7 * logs["kl"], rel=1e-5)


def test_the_slope_is_that_of_the_logarithm_of_mse_times_a_power_of_lpips():
    objective = Objective(RELATIVE, perceptual_loss=absolute_distance, values=math.prod(SHAPE))
    images, reconstructions = (tf.constant(random_images(seed=seed)) for seed in (0, 1))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(reconstructions)
        scale = objective.calibrated(tf.stop_gradient(objective.error(images, reconstructions)))
        parts = {
            "nll": objective.nll(images, reconstructions, scale),
            "lpips": objective.perceptual(images, reconstructions),
        }
        loss = objective.reconstruction(parts)
        mse = tf.reduce_mean(tf.square(images - reconstructions))
        expected = UNIT * tf.math.log(mse * tf.reduce_mean(absolute_distance(images, reconstructions)) ** 0.5) / 1.5

    np.testing.assert_allclose(
        tape.gradient(loss, reconstructions), tape.gradient(expected, reconstructions), rtol=1e-4, atol=1e-6
    )


def test_lpips_of_other_images_has_the_slope_that_it_has_at_the_mean_of_the_batch():
    objective = Objective(RELATIVE, perceptual_loss=absolute_distance, values=math.prod(SHAPE))
    nll, lpips = tf.constant(2.0), tf.constant(0.25)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([nll, lpips])
        own = objective.reconstruction({"nll": nll, "lpips": lpips})
        beside = objective.reconstruction_beside({"nll": nll, "lpips": lpips}, tf.constant(0.25))
    for part in (nll, lpips):
        assert float(tape.gradient(beside, part)) == pytest.approx(float(tape.gradient(own, part)))
    assert float(tape.gradient(beside, lpips)) == pytest.approx(0.5 * UNIT / 0.25 / 1.5)


@keras.saving.register_keras_serializable(package="tests")
def hundredfold_distance(images, reconstructions):
    return 100.0 * absolute_distance(images, reconstructions)


def weights_after_a_step(config=RELATIVE, *, images, accumulate=1, **options):
    keras.utils.set_random_seed(0)
    trainer = make_trainer(config, discriminator=False, seed=0, variational=False, **options)
    trainer.accumulate = accumulate
    train_on(compiled(trainer), images)
    return trainer.vae.get_weights()


def test_the_unit_of_the_perceptual_loss_does_not_matter():
    images = random_images()
    one, other = (
        weights_after_a_step(images=images, perceptual=distance)
        for distance in (absolute_distance, hundredfold_distance)
    )
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("equivariance", [0.0, 0.3])
def test_a_batch_in_two_passes_gives_the_step_of_the_whole_batch(equivariance):
    # A spatial latent, which equivariance needs.
    config = RELATIVE.replace(equivariance_weight=equivariance)
    options = {"latent_shape": (6, 6, 2), "images": random_images(8)}
    whole, in_passes = (weights_after_a_step(config, accumulate=count, **options) for count in (1, 2))
    for first, second in zip(whole, in_passes, strict=True):
        np.testing.assert_allclose(first, second, atol=2e-6)


@pytest.mark.parametrize("name", ["perceptual_weight", "adversarial_weight"])
def test_weights_that_are_not_meant_as_relative_ones_are_refused(name):
    message = rf"{name.replace('_', '-')} 500 is too large for relative weights; begin with --perceptual-weight 1"
    with pytest.raises(InputError, match=message):
        RELATIVE.replace(**{name: 500.0})
    assert getattr(ObjectiveConfig(**{name: 500.0}), name) == 500.0
