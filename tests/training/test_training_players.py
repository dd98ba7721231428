"""One step of both players against the gradients of each player alone, and steps that are skipped as not finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import (
    ALL_LAYERS,
    AT_ONCE,
    are_equal,
    compiled,
    make_trainer,
    random_images,
    state_of,
    train_on,
    values_of,
)

from keras_vae.models import Decoder
from keras_vae.training.objective import ADAPTIVE_MAXIMUM, adaptive_weight


def reference_losses(trainer, images):
    """The parts of both players' losses, written out for the Gaussian likelihood and the hinge loss."""
    vae, discriminator = trainer.vae, trainer.discriminator
    mean, log_var = vae.encode(images)
    reconstructions = vae.decode(vae.sampling(mean, log_var))
    squared = tf.square(images - reconstructions)
    variance = tf.reduce_mean(squared)
    log_density = -0.5 * (squared / variance + tf.math.log(2 * np.pi * variance))
    kl = 0.5 * (mean**2 + tf.exp(log_var) - 1 - log_var)
    real = discriminator(images, training=True)
    fake = discriminator(reconstructions, training=True)
    return {
        "nll": -tf.reduce_mean(tf.reduce_sum(log_density, axis=(1, 2, 3))),
        "kl": tf.reduce_mean(tf.reduce_sum(kl, axis=1)),
        "lpips": tf.reduce_mean(tf.abs(images - reconstructions)[:1]),  # an eighth of 4 images, and at least one
        "adversarial": -tf.reduce_mean(fake),
        "discriminator": tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + fake)),
    }


def generator_loss(parts, config):
    return (
        parts["nll"]
        + config.beta * parts["kl"]
        + config.perceptual_weight * parts["lpips"]
        + config.adversarial_weight * parts["adversarial"]
    )


def reference_gradients(trainer, images, loss_of, variables):
    """Gradients from a separate tape. The state of the noise and of the power iteration is restored afterwards."""
    before = values_of(trainer.variables)
    with tf.GradientTape() as tape:
        loss = loss_of(reference_losses(trainer, images))
    gradients = values_of(tape.gradient(loss, [variable.value for variable in variables], unconnected_gradients="zero"))
    for variable, value in zip(trainer.variables, before, strict=True):
        variable.assign(value)
    return gradients


@pytest.mark.parametrize("player", ["vae", "discriminator"])
def test_each_player_takes_the_gradient_step_of_its_own_loss_alone(player):
    trainer, images = compiled(make_trainer(**ALL_LAYERS)), random_images()
    variables = getattr(trainer, player).trainable_variables

    def loss_of(parts):
        return parts["discriminator"] if player == "discriminator" else generator_loss(parts, AT_ONCE)

    gradients = reference_gradients(trainer, images, loss_of, variables)
    before = values_of(variables)
    train_on(trainer, images)

    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        step = (old - variable.numpy()) / 1e-2
        # 1e-7 of a weight of order one, over the learning rate, is 1e-5; sums of some hundred terms in another order
        # differ by 1e-4 of the largest.
        np.testing.assert_allclose(step, gradient, rtol=1e-3, atol=2e-5 + 1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize(("moving", "resting"), [("vae", "discriminator"), ("discriminator", "vae")])
def test_a_player_with_a_learning_rate_of_zero_is_not_moved_by_the_other(moving, resting):
    rates = {"vae": 0.0, "discriminator": 0.0, moving: 1e-2}
    trainer = compiled(make_trainer(), rates["vae"], rates["discriminator"])
    before = {name: values_of(getattr(trainer, name).trainable_variables) for name in rates}

    train_on(trainer, random_images())

    assert are_equal(before[resting], values_of(getattr(trainer, resting).trainable_variables))
    assert not are_equal(before[moving], values_of(getattr(trainer, moving).trainable_variables))


def test_a_step_makes_one_decoder_forward_for_both_players(monkeypatch):
    trainer = compiled(make_trainer())
    calls = []
    original = Decoder.call
    monkeypatch.setattr(Decoder, "call", lambda self, *inputs: calls.append(1) or original(self, *inputs))

    train_on(trainer, random_images())

    assert len(calls) == 1


@pytest.mark.parametrize("perceptual_weight", [0.0, 300.0])
def test_the_adaptive_weight_is_the_ratio_of_gradient_norms_at_the_last_kernel(perceptual_weight):
    config = AT_ONCE.replace(adaptive_weight=True, perceptual_weight=perceptual_weight)
    options = {} if perceptual_weight else {"perceptual": None}
    trainer, images = compiled(make_trainer(config, **options)), random_images()
    kernel = [trainer.vae.decoder.to_image.kernel]

    (reconstruction,) = reference_gradients(
        trainer, images, lambda parts: parts["nll"] + perceptual_weight * parts["lpips"], kernel
    )
    (adversarial,) = reference_gradients(trainer, images, lambda parts: parts["adversarial"], kernel)
    reported = train_on(trainer, images)["adversarial_weight"]

    ratio = np.linalg.norm(reconstruction.ravel()) / (np.linalg.norm(adversarial.ravel()) + 1e-4)
    # Two passes of float32 gradients that sum some thousand terms in different orders.
    assert reported == pytest.approx(config.adversarial_weight * min(ratio, 1e4), rel=2e-3)


def test_the_adaptive_weight_is_bounded_where_the_discriminator_gives_no_gradient():
    kernel = np.ones((3, 3, 2, 1), "float32")
    assert float(adaptive_weight(kernel, 0 * kernel)) == ADAPTIVE_MAXIMUM
    assert float(adaptive_weight(0 * kernel, kernel)) == 0.0


@pytest.mark.parametrize("overflowing", ["vae", "discriminator"])
def test_an_overflow_of_float16_changes_neither_player_and_training_goes_on(overflowing):
    keras.mixed_precision.set_global_policy("mixed_float16")
    trainer = make_trainer(ema=0.9)
    # 2^30 times any gradient here exceeds 65504, the largest float16; 2^4 times these gradients does not.
    scales = {"vae": 2.0**4, "discriminator": 2.0**4, overflowing: 2.0**30}
    optimizers = [
        keras.optimizers.LossScaleOptimizer(keras.optimizers.AdamW(1e-3), initial_scale=scale)
        for scale in scales.values()
    ]
    trainer.compile(*optimizers, run_eagerly=True, jit_compile=False)
    players = [*trainer.vae.trainable_variables, *trainer.discriminator.trainable_variables]
    moments = [variable for optimizer in optimizers for variable in optimizer.inner_optimizer.variables]
    before = values_of(players + moments)
    images = random_images()

    logs = train_on(trainer, images)

    assert logs["skipped_steps"] == 1
    assert logs["gradient_norm"] == 0  # the mean over no steps, not the overflow
    assert are_equal(before, values_of(players + moments))
    assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [scale / 2 for scale in scales.values()]

    for optimizer in optimizers:
        optimizer.dynamic_scale.assign(2.0**4)
    logs = train_on(trainer, images)
    assert logs["skipped_steps"] == 0
    assert np.isfinite(list(logs.values())).all()
    assert not are_equal(before, values_of(players + moments))
    assert all(np.isfinite(value).all() for value in state_of(trainer))


def test_float16_halves_its_scale_until_steps_are_made():
    keras.mixed_precision.set_global_policy("mixed_float16")
    trainer = make_trainer(AT_ONCE.replace(adversarial_weight=1.0))
    trainer.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-4), initial_scale=2.0**14),
        keras.optimizers.SGD(1e-4),
        run_eagerly=True,
        jit_compile=False,
    )
    before = values_of(trainer.vae.trainable_variables)

    skipped = [train_on(trainer, random_images())["skipped_steps"] for _ in range(8)]

    assert skipped[0] == 1
    assert 0 in skipped
    assert float(trainer.optimizer.dynamic_scale) == 2.0 ** (14 - sum(skipped))
    assert not are_equal(before, values_of(trainer.vae.trainable_variables))
    assert all(np.isfinite(value).all() for value in state_of(trainer))


def test_a_batch_with_nan_changes_neither_player_in_float32_and_training_goes_on():
    trainer = make_trainer(ema=0.9)
    trainer.compile("adamw", "adamw", run_eagerly=True, jit_compile=False)
    images = random_images()
    train_on(trainer, images)
    optimizers = [trainer.optimizer, trainer.discriminator_optimizer]
    guarded = [
        *trainer.vae.weights,
        *trainer.discriminator.weights,
        *(variable for optimizer in optimizers for variable in optimizer.inner_optimizer.variables),
    ]
    power_iteration = [id(variable) for variable in trainer.discriminator.non_trainable_variables]
    guarded = [variable for variable in guarded if id(variable) not in power_iteration]
    before = values_of(guarded)
    bad = images.copy()
    bad[0, 0, 0, 0] = np.nan

    skipped = [train_on(trainer, bad)["skipped_steps"] for _ in range(3)]

    assert skipped == [1, 1, 1]
    assert are_equal(before, values_of(guarded))
    # If the scale kept halving, every gradient would end up zero.
    assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [1.0, 1.0]
    logs = train_on(trainer, images)
    assert logs["skipped_steps"] == 0
    assert np.isfinite(list(logs.values())).all()
    assert not are_equal(before, values_of(guarded))
    assert all(np.isfinite(value).all() for value in values_of(trainer.ema_vae.weights))
    assert np.isfinite(float(trainer.vae.likelihood_scale))


def test_both_players_need_an_optimizer_of_their_own():
    optimizer = keras.optimizers.SGD(1e-2)
    with pytest.raises(ValueError, match="optimizer of its own"):
        make_trainer().compile(optimizer, optimizer)
