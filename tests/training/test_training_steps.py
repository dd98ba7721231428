"""The figures that train_step and test_step report, and the effect of the trainer's options."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tiny_training import (
    ALL_LAYERS,
    AT_ONCE,
    EACH_LAYER,
    SHAPE,
    absolute_distance,
    are_equal,
    compiled,
    make_trainer,
    random_images,
    restored,
    train_on,
    values_of,
)

from keras_vae import metrics
from keras_vae.config import ObjectiveConfig
from keras_vae.losses import LPIPS
from keras_vae.training import Objective
from keras_vae.training.optimizers import FusedAdamW

ADVERSARIAL = ("adversarial", "discriminator", "real_accuracy", "fake_accuracy")


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_every_policy_trains_with_the_whole_objective_and_reports_finite_float32(policy):
    keras.mixed_precision.set_global_policy(policy)
    trainer = compiled(make_trainer(perceptual=LPIPS(reduction=None), ema=0.9, **ALL_LAYERS), 1e-4, 1e-4)
    images = tf.constant(random_images())

    for step in (trainer.train_step, trainer.test_step):
        reported = step((images,))

        assert {value.dtype for value in reported.values()} == {tf.float32}
        assert np.isfinite(list(reported.values())).all()


def test_the_reported_loss_is_the_weighted_sum_of_the_reported_parts():
    config = AT_ONCE.replace(beta=0.7, perceptual_weight=30.0, adversarial_weight=5.0)

    logs = train_on(compiled(make_trainer(config)), random_images())

    expected = logs["nll"] + 0.7 * logs["kl"] + 30.0 * logs["lpips"] + 5.0 * logs["adversarial"]
    # float32 sums of terms of order 100
    assert logs["loss"] == pytest.approx(expected, rel=1e-5, abs=1e-4)
    assert logs["elbo"] == pytest.approx(-(logs["nll"] + logs["kl"]), rel=1e-6)
    assert logs["beta"] == pytest.approx(0.7)
    assert logs["adversarial_weight"] == 5.0


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_lpips_counts_the_same_with_and_without_its_reduction(fraction):
    images, others = random_images(), 1.0 - random_images()
    config = AT_ONCE.replace(perceptual_fraction=fraction)

    reduced, not_reduced = (
        Objective(config, perceptual_loss=loss).perceptual(images, others) for loss in (LPIPS(), LPIPS(reduction=None))
    )

    assert reduced.shape == not_reduced.shape == ()
    assert float(reduced) == pytest.approx(float(not_reduced), rel=1e-6)


def test_the_feature_discriminator_adds_its_share_to_both_players_losses():
    config = AT_ONCE.replace(adversarial_weight=5.0, feature_weight=0.5, perceptual_fraction=0.5)
    images, lpips = random_images(), LPIPS(reduction=None)
    trainer = compiled(make_trainer(config, perceptual=lpips, features=True), 0.0, 0.0)
    for _ in range(20):  # until the spectral norms hardly move in the step
        trainer.feature_discriminator(lpips.features(images)[1:], training=True)
    trainer.vae.sampling.seed_generator.state.assign([1, 2])

    logs = train_on(trainer, images)

    trainer.vae.sampling.seed_generator.state.assign([1, 2])
    fake = trainer.vae(images, training=True)
    share = [lpips.features(batch[:2])[1:] for batch in (images, fake)]
    real_logits, fake_logits = (numpy_of(trainer.feature_discriminator(features)) for features in share)
    # The hinge losses of Lim & Ye 2017; sums in float32. The discriminator's scales moved a little in the step.
    assert logs["feature_adversarial"] == pytest.approx(-fake_logits.mean(), rel=0.2, abs=0.02)
    discriminator = np.maximum(0, 1 - real_logits).mean() + np.maximum(0, 1 + fake_logits).mean()
    assert logs["feature_discriminator"] == pytest.approx(discriminator, rel=0.1)
    assert logs["lpips"] == pytest.approx(float(np.mean(lpips(images[:2], fake[:2]))), rel=1e-4)
    expected = logs["nll"] + logs["kl"] + config.perceptual_weight * logs["lpips"]
    expected += 5.0 * (logs["adversarial"] + 0.5 * logs["feature_adversarial"])
    assert logs["loss"] == pytest.approx(expected, rel=1e-5, abs=1e-4)


def test_the_feature_discriminator_is_trained_with_the_other_and_the_decoder_heeds_it():
    config = AT_ONCE.replace(adversarial_weight=5.0, perceptual_weight=1e-6)
    moved = {}
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        trainer = make_trainer(config.replace(feature_weight=weight), perceptual=LPIPS(reduction=None), features=True)
        before = values_of(trainer.feature_discriminator.trainable_variables)
        train_on(compiled(trainer, 1e-3, 1e-3), random_images())
        assert not are_equal(before, values_of(trainer.feature_discriminator.trainable_variables))
        moved[weight] = values_of(trainer.vae.decoder.trainable_variables)

    assert not are_equal(moved[0.0], moved[1.0])


@pytest.mark.parametrize("options", [{"discriminator": False}, {"perceptual": absolute_distance}])
def test_a_feature_discriminator_without_what_it_needs_is_refused(options):
    with pytest.raises(ValueError, match="needs a discriminator and a perceptual loss that has features"):
        make_trainer(**{"perceptual": LPIPS(reduction=None), **options}, features=True)


def test_parts_that_are_left_out_are_not_reported():
    logs = train_on(compiled(make_trainer(perceptual=None, discriminator=False)), random_images())

    assert logs.keys() == {"loss", "elbo", "nll", "kl", "beta", "mse", "gradient_norm", "skipped_steps"}


def test_the_autoencoder_heeds_the_discriminator_from_its_start_on():
    config = ObjectiveConfig(beta_start=3.0, beta_warmup=0.5, adversarial_start=0.5, adversarial_weight=10.0)
    trainer = compiled(make_trainer(config, total_steps=4), 1e-4, 1e-4)
    weights, betas = [], []
    for _ in range(4):
        logs = train_on(trainer, random_images())
        weights.append(logs["adversarial_weight"])
        betas.append(logs["beta"])

    assert weights == [0, 0, 10, 10]
    assert betas == [3, 2, 1, 1]


def test_the_averaged_weights_follow_the_recursion_with_a_warm_up():
    trainer = compiled(make_trainer(ema=0.3, perceptual=None, discriminator=False), 1e-3)
    pairs = list(zip(trainer.ema_vae.weights, trainer.vae.weights, strict=True))
    averages = values_of(average for average, _ in pairs)
    for step in range(5):
        train_on(trainer, random_images(seed=step))
        decay = min(0.3, (1 + step) / (10 + step))
        weights = values_of(weight for _, weight in pairs)
        averages = [
            decay * average + (1 - decay) * weight if variable.trainable else weight
            for average, weight, (_, variable) in zip(averages, weights, pairs, strict=True)
        ]

    for average, expected in zip(values_of(average for average, _ in pairs), averages, strict=True):
        # Weights of order one, rounded five times.
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-6)


def test_without_averaging_there_is_no_copy():
    trainer = make_trainer(ema=0.0)
    assert trainer.ema_vae is None
    assert trainer.inference_vae is trainer.vae


def test_test_metrics_are_those_of_all_images_whatever_the_batches():
    trainer = compiled(make_trainer(AT_ONCE.replace(perceptual_fraction=1.0), ema=0.9), 1e-2)
    for seed in range(3):
        train_on(trainer, random_images(seed=seed))
    vae, images = trainer.ema_vae, random_images(7)
    reconstructions = numpy_of(vae.reconstruct(images))
    noise = vae.sampling.seed_generator.state
    before = numpy_of(noise).copy()

    reported = trainer.evaluate(tf.data.Dataset.from_tensor_slices(images).batch(5), verbose=0, return_dict=True)

    noise.assign(before)
    nll, kl, adversarial = [], [], {name: [] for name in ADVERSARIAL}
    for batch in (images[:5], images[5:]):
        mean, log_var = vae.encode(batch)
        sampled = vae.decode(vae.sampling(mean, log_var))
        real, fake = (numpy_of(trainer.discriminator(seen)) for seen in (batch, sampled))
        # The hinge losses of Lim & Ye 2017.
        adversarial["adversarial"] += [-fake]
        adversarial["discriminator"] += [np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)]
        adversarial["real_accuracy"] += [real > 0]
        adversarial["fake_accuracy"] += [fake <= 0]
        nll += [-stats.norm(sampled, float(vae.likelihood_scale)).logpdf(batch).sum(axis=(1, 2, 3))]
        mean, log_var = numpy_of(mean).astype("float64"), numpy_of(log_var).astype("float64")
        kl += [0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)]
    nll, kl = np.concatenate(nll).mean(), np.concatenate(kl).mean()
    expected = {
        "nll": nll,
        "kl": kl,
        "elbo": -(nll + kl),
        "mse": np.square(images - reconstructions).mean(),
        "lpips": np.abs(images - reconstructions).mean(),
        "psnr": numpy_of(metrics.psnr(images, reconstructions)).mean(),
        "ssim": numpy_of(metrics.ssim(images, reconstructions)).mean(),
        **{name: np.concatenate(parts).mean() for name, parts in adversarial.items()},
    }
    weights = trainer.config
    expected["loss"] = nll + weights.beta * kl + weights.perceptual_weight * expected["lpips"]
    assert reported.keys() == expected.keys()
    for name, value in expected.items():
        # float32 has six digits, fewer where terms cancel.
        assert reported[name] == pytest.approx(value, rel=2e-5, abs=1e-6), name


def test_the_calibrated_scale_starts_at_the_rmse_and_then_follows_its_running_mean():
    trainer = compiled(make_trainer(variational=False, perceptual=None, discriminator=False), learning_rate=0.0)
    batches = [random_images(seed=seed) ** (seed + 1) for seed in range(4)]
    rmse = [np.sqrt(np.square(batch - numpy_of(trainer.vae.reconstruct(batch))).mean()) for batch in batches]
    expected = rmse[0]
    for index, batch in enumerate(batches):
        train_on(trainer, batch)
        expected = expected if index == 0 else 0.99 * expected + 0.01 * rmse[index]

        assert float(trainer.vae.likelihood_scale) == pytest.approx(expected, rel=1e-5)


def test_a_fixed_scale_stays():
    trainer = compiled(make_trainer(scale=0.25, perceptual=None, discriminator=False))
    train_on(trainer, random_images())
    assert float(trainer.vae.likelihood_scale) == 0.25


def test_the_laplace_likelihood_calibrates_to_the_mean_absolute_error():
    options = {"likelihood": "laplace", "variational": False}
    trainer = compiled(make_trainer(perceptual=None, discriminator=False, **options), learning_rate=0.0)
    images = random_images()

    logs = train_on(trainer, images)

    error = np.abs(images - numpy_of(trainer.vae.reconstruct(images)))
    assert float(trainer.vae.likelihood_scale) == pytest.approx(error.mean(), rel=1e-5)
    expected = -stats.laplace(scale=error.mean()).logpdf(error).sum(axis=(1, 2, 3)).mean()
    assert logs["nll"] == pytest.approx(expected, rel=1e-5)


def test_the_bernoulli_likelihood_is_the_cross_entropy():
    options = {"likelihood": "bernoulli", "variational": False}
    trainer = compiled(make_trainer(perceptual=None, discriminator=False, **options), learning_rate=0.0)
    images = random_images()

    logs = train_on(trainer, images)

    probability = numpy_of(trainer.vae.reconstruct(images)).astype("float64")
    entropy = -(images * np.log(probability) + (1 - images) * np.log(1 - probability))
    assert logs["nll"] == pytest.approx(entropy.sum(axis=(1, 2, 3)).mean(), rel=1e-5)


@pytest.mark.parametrize(("fraction", "leading"), [(0.25, 1), (0.5, 2), (0.1, 1), (1.0, 4)])
@pytest.mark.parametrize("batch", [4, None])
def test_the_perceptual_fraction_takes_the_leading_images(fraction, leading, batch):
    objective = Objective(ObjectiveConfig(perceptual_fraction=fraction), perceptual_loss=absolute_distance)
    images, reconstructions = random_images(seed=1), random_images(seed=2)
    perceptual = tf.function(objective.perceptual, input_signature=[tf.TensorSpec((batch, *SHAPE))] * 2)

    value = float(perceptual(images, reconstructions))

    assert value == pytest.approx(np.abs(images - reconstructions)[:leading].mean(), rel=1e-5)


def test_the_perceptual_fraction_has_the_full_gradient_on_the_mean_over_shuffles():
    images, reconstructions = random_images(seed=1), random_images(seed=2)
    shift = tf.Variable(0.1)

    def gradient(fraction, order):
        objective = Objective(
            ObjectiveConfig(perceptual_fraction=fraction),
            perceptual_loss=lambda one, other: tf.reduce_mean(tf.square(one - other), axis=(1, 2, 3)),
        )
        with tf.GradientTape() as tape:
            loss = objective.perceptual(images[order], reconstructions[order] * shift)
        return float(tape.gradient(loss, shift))

    orders = [list(order) for order in itertools.permutations(range(4))]

    parts = [gradient(0.5, order) for order in orders]

    assert np.mean(parts) == pytest.approx(gradient(1.0, orders[0]), rel=1e-5)
    assert np.std(parts) > 0


def test_free_bits_are_no_part_of_the_punished_kl():
    trainer = compiled(make_trainer(AT_ONCE.replace(free_bits=50.0), perceptual=None, discriminator=False))

    logs = train_on(trainer, random_images())

    # Both dimensions are far below 50 nats, so the loss counts 50 nats for each in place of its KL.
    assert logs["loss"] == pytest.approx(logs["nll"] + 2 * 50.0, rel=1e-5)
    assert 0 < logs["kl"] < 50


def test_a_plain_autoencoder_has_no_kl_and_no_noise():
    trainer, images = compiled(make_trainer(variational=False), 0.0, 0.0), random_images()

    trained = train_on(trainer, images)
    tested = [trainer.test_on_batch(images, return_dict=True) for _ in range(2)]

    assert trained["kl"] == tested[0]["kl"] == 0
    assert trained["elbo"] == -trained["nll"]
    assert tested[0] == tested[1]
    assert trained["mse"] == pytest.approx(tested[0]["mse"], rel=1e-5)


def test_a_conditional_model_says_that_it_needs_labels():
    trainer = compiled(make_trainer(num_classes=3))
    for step in (trainer.train_on_batch, trainer.test_on_batch):
        with pytest.raises(ValueError, match=r"conditional model needs labels: .*\(images, labels\)"):
            step(random_images())


def test_a_conditional_model_learns_from_labels():
    trainer = make_trainer(num_classes=3)
    trainer.compile(FusedAdamW(1e-2), FusedAdamW(1e-2), run_eagerly=True, jit_compile=False)
    images, labels = random_images(), np.array([0, 1, 1, 0], "int32")
    table = trainer.vae.decoder.label_token.embeddings
    before = table.numpy().copy()

    logs = train_on(trainer, images, labels)

    assert np.isfinite(list(logs.values())).all()
    assert logs["skipped_steps"] == 0
    assert (table.numpy() != before).any(axis=1)[:2].all()


def test_an_unconditional_model_ignores_labels():
    images, labels = random_images(), np.array([0, 1, 1, 0], "int32")
    trainer, logs = compiled(make_trainer()), []
    for batch in ((images,), (images, labels)):
        with restored(trainer):
            logs.append(train_on(trainer, *batch))
    assert logs[0] == logs[1]


def test_fit_takes_arrays_and_validates():
    trainer = compiled(make_trainer(ema=0.5), 1e-4, 1e-4)
    images = random_images(4)

    history = trainer.fit(images, batch_size=4, epochs=1, validation_data=(images[:3],), verbose=0).history

    assert {"loss", "discriminator", "val_mse", "val_psnr", "val_ssim", "val_elbo"} <= history.keys()
    assert np.isfinite(list(history.values())).all()


def test_calling_the_trainer_calls_the_model():
    trainer, images = make_trainer(), random_images()
    assert are_equal([numpy_of(trainer(images))], [numpy_of(trainer.vae.reconstruct(images))])


@pytest.mark.slow  # XLA alone takes 20 s and a gigabyte
def test_the_whole_step_compiles_with_xla_in_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    trainer = make_trainer(total_steps=10, ema=0.9, **EACH_LAYER)
    trainer.compile(FusedAdamW(1e-2), FusedAdamW(1e-2), jit_compile=True)
    before = values_of(trainer.vae.trainable_variables)

    logs = train_on(trainer, random_images())

    assert logs["skipped_steps"] == 0
    assert np.isfinite(list(logs.values())).all()
    assert not are_equal(before, values_of(trainer.vae.trainable_variables))
