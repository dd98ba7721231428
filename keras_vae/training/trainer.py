"""`VAETrainer`: both players, each with its own optimizer, in one ``train_step``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_vae import metrics
from keras_vae.config import ObjectiveConfig
from keras_vae.errors import InputError
from keras_vae.layers import StandardNormal
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator
from keras_vae.models.copies import copy_of
from keras_vae.training.accumulation import mean_of_passes, pass_of
from keras_vae.training.distribution import (
    copies_of,
    is_multi_worker,
    mean_over_replicas,
    replicas,
    rows_of_replica,
    sum_over_replicas,
)
from keras_vae.training.inputs import as_floats, unpack
from keras_vae.training.keras_model import TrainerModel
from keras_vae.training.objective import Objective, adaptive_weight
from keras_vae.training.optimizers import apply_where
from keras_vae.training.schedules import beta_at, is_adversarial_at
from keras_vae.training.step_losses import Batch, BatchMean, Parts, StepLosses, check_equivariance

# What the running scale of a calibrated likelihood keeps of its past at every step.
SCALE_MOMENTUM = 0.99

PARTS = ("loss", "elbo", "nll", "kl", "beta", "mse", "gradient_norm")
ADVERSARIAL_PARTS = (
    "adversarial",
    "discriminator",
    "real_accuracy",
    "fake_accuracy",
    "adversarial_weight",
    "discriminator_gradient_norm",
)
FEATURE_PARTS = ("feature_adversarial", "feature_discriminator")


@keras.saving.register_keras_serializable(package="keras_vae")
class VAETrainer(TrainerModel):
    """Trains a `VAE` against ``NLL + β·KL + λ_p·LPIPS + λ_a·adversarial``, and a discriminator beside it.

    Data sets yield images (N, H, W, C), float in [0, 1] or uint8, or (images, labels). A conditional model needs the
    labels (N,), whole numbers; any other ignores them. One forward pass of the decoder serves both players. The
    discriminator learns from the first step on; the autoencoder heeds it from ``config.adversarial_start`` on. A step
    with a gradient that is not finite changes neither player, in any precision, and counts in ``skipped_steps``.

    Args:
        vae: the model to train.
        discriminator: gives patch logits of images; None leaves the adversarial part out.
        perceptual_loss: takes (images, reconstructions) and gives distances (N,) or their mean, as `losses.LPIPS` does;
            None leaves the part out.
        config: weights and schedules.
        feature_discriminator: a second discriminator, which judges the perceptual loss's features of its share of the
            batch; its loss counts ``config.feature_weight`` times the first's. None leaves it out. It needs the first
            discriminator, and a perceptual loss with the methods ``features`` and ``distance`` of `losses.LPIPS`.
        total_steps: planned length of the run. The schedules in ``config`` are shares of it; None: no warm-ups.
        ema: decay of the averaged weights in ``ema_vae``; 0 keeps none.
        accumulate: number of passes in which a step goes through its batch, to save memory; the result is the same. The
            batch must be a multiple of it.

    A trainer that is made in the scope of a `tf.distribute` strategy trains on all of its replicas. Each replica takes
    its part of every batch (`keras_vae.data.Part`), and the step equals that of the whole batch.

    Example:
        ```python
        trainer = VAETrainer(VAE(latent_dim=2), PatchDiscriminator(), LPIPS())
        trainer.compile(keras.optimizers.AdamW(2e-3), keras.optimizers.AdamW(5e-4))
        trainer.fit(images, batch_size=128, epochs=10, validation_data=(test_images,))
        trainer.save("trainer.keras")  # both players, both optimizers and the step
        ```

    A subclass changes what is minimised by ``objective_class``.

    Training reports means over the epoch, likelihoods in nats an image: ``loss elbo nll kl beta mse gradient_norm
    skipped_steps``; with a perceptual loss ``lpips``; with ``config.equivariance_weight`` ``equivariance``; with a
    discriminator ``adversarial discriminator real_accuracy fake_accuracy adversarial_weight
    discriminator_gradient_norm``; with a feature discriminator ``feature_adversarial feature_discriminator``; and the
    losses and figures of the bottleneck.

    Testing reports ``loss elbo nll kl mse psnr ssim`` of the averaged weights, with a perceptual loss ``lpips``, and
    with a discriminator ``adversarial discriminator real_accuracy fake_accuracy``. The ``loss`` is the objective
    without its adversarial part, which has no level to compare between epochs, and with β at its final value: by
    default ``NLL + β·KL + λ_p·LPIPS``. Image metrics and LPIPS are of the reconstruction through the posterior mean.
    The ELBO and the discriminator's figures are of one sampled z for each image.
    """

    objective_class: type[Objective] = Objective

    def __init__(
        self,
        vae: VAE,
        discriminator: PatchDiscriminator | None = None,
        perceptual_loss: Callable[[Any, Any], Any] | None = None,
        config: ObjectiveConfig | None = None,
        *,
        feature_discriminator: FeatureDiscriminator | None = None,
        total_steps: int | None = None,
        ema: float = 0.0,
        accumulate: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config or ObjectiveConfig()
        self.vae = vae
        if feature_discriminator is not None and (discriminator is None or not hasattr(perceptual_loss, "features")):
            raise ValueError("a feature discriminator needs a discriminator and a perceptual loss that has features")
        if self.config.free_bits and not (vae.variational and isinstance(vae.prior, StandardNormal)):
            raise InputError("free bits need a KL of each latent dimension: a Gaussian posterior and the prior N(0, I)")
        if self.config.importance_samples_train > 1 and (self.config.free_bits or not vae.variational):
            raise InputError("the IWAE bound needs a Gaussian posterior, and has no free bits")
        if self.config.equivariance_weight:
            check_equivariance(vae)
        self.discriminator = discriminator
        self.feature_discriminator = feature_discriminator
        values = {"values": math.prod(vae.image_shape)} if self.config.relative_weights else {}
        self.objective = self.objective_class(self.config, vae.likelihood, perceptual_loss, **values)
        self.step_losses = StepLosses(self.objective, vae, discriminator, feature_discriminator)
        self.total_steps = total_steps
        self.ema = ema
        self.accumulate = accumulate
        self.ema_vae = copy_of(vae) if ema else None
        if self.ema_vae is not None:
            self.ema_vae.trainable = False
        self.step = self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name="step")
        names = [*PARTS, *vae.bottleneck.loss_names, *vae.bottleneck.figure_names]
        names += ("lpips",) if perceptual_loss is not None else ()
        names += ("equivariance",) if self.config.equivariance_weight else ()
        names += ADVERSARIAL_PARTS if discriminator is not None else ()
        names += FEATURE_PARTS if feature_discriminator is not None else ()
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.skipped_steps = keras.metrics.Sum(name="skipped_steps")
        self.skipped_in_a_row = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)
        # Of the last step, which of `means` were finite.
        self.finite_means = self.add_weight(shape=(len(names),), dtype="bool", initializer="ones", trainable=False)
        self.psnr = metrics.PSNR()
        self.ssim = metrics.SSIM()
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The networks, the losses and the options.

        Raises:
            ValueError: when the perceptual loss is a lambda.
        """
        perceptual_loss = self.objective.perceptual_loss
        # Keras would write its byte code into the file, and refuse to load it.
        if getattr(perceptual_loss, "__name__", None) == "<lambda>":
            raise ValueError(
                "perceptual_loss: a lambda cannot be saved; give a function or class that is registered by "
                "keras.saving.register_keras_serializable"
            )
        parts = {
            "vae": self.vae,
            "discriminator": self.discriminator,
            "perceptual_loss": perceptual_loss,
            "feature_discriminator": self.feature_discriminator,
        }
        return {
            **super().get_config(),
            **{name: keras.saving.serialize_keras_object(part) for name, part in parts.items()},
            "config": self.config.as_dict(),
            "total_steps": self.total_steps,
            "ema": self.ema,
            "accumulate": self.accumulate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAETrainer:
        parts = ("vae", "discriminator", "perceptual_loss", "feature_discriminator")
        made = {name: keras.saving.deserialize_keras_object(config[name], custom_objects) for name in parts}
        return cls(**{**config, **made, "config": ObjectiveConfig.from_dict(config["config"])})

    @property
    def discriminator_variables(self) -> list[Any]:
        """What the second player trains: the weights of one discriminator or two."""
        return self.step_losses.discriminator_variables

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All of them, so that Keras resets them at the start of an epoch."""
        return [*self.means.values(), self.skipped_steps, self.psnr, self.ssim]

    @property
    def steps_made(self) -> int:
        """The number of training steps up to now. Every replica has it: no worker waits for another here."""
        return int(copies_of(self.step)[0].numpy())

    def means_so_far(self) -> dict[str, float]:
        """What the epoch's steps have reported up to now. Every replica has it: no worker waits for another here."""
        sums = {
            name: [copies_of(variable)[0].numpy() for variable in mean.variables] for name, mean in self.means.items()
        }
        means = {name: float(total / count) if count else 0.0 for name, (total, count) in sums.items()}
        return {**means, self.skipped_steps.name: float(copies_of(self.skipped_steps.total)[0].numpy())}

    # Nothing in the steps depends on a tensor's value in Python: rewriting them would only take start-up time.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels, _ = unpack(data, self.vae)
        images = as_floats(images)
        batch = Batch(images, labels, self._noise(images) if self.vae.variational else None)
        gradients, parts = self._gradients(batch) if self.accumulate == 1 else self._accumulated(batch)
        gradients, parts = mean_over_replicas((gradients, parts))
        self._follow(parts.pop("scale"))
        if self.feature_discriminator is not None:
            self.feature_discriminator.follow(parts.pop("mean_squares"))
        norms, is_finite = self._update(gradients)
        # A step that is skipped teaches the bottleneck nothing either.
        poison = ops.where(is_finite, 0.0, float("nan"))
        self.vae.bottleneck.follow({name: value + poison for name, value in parts.pop("statistics").items()})
        parts |= self.vae.bottleneck.figures()
        parts |= zip(("gradient_norm", "discriminator_gradient_norm"), norms, strict=False)
        self._average_weights()
        # After the batch: at the end of a data set of unknown length there is none, and no step either.
        with tf.control_dependencies([is_finite]):
            self.step.assign_add(1)
        self.skipped_in_a_row.assign(ops.where(is_finite, 0, self.skipped_in_a_row + 1))
        are_finite = [ops.isfinite(parts[name]) for name in self.means]
        self.finite_means.assign(ops.stack(are_finite))
        for (name, mean), is_counted in zip(self.means.items(), are_finite, strict=True):
            # One overflow of float16 would make the epoch's mean infinite. Norms are of the steps that were made.
            is_counted = is_finite if name.endswith("gradient_norm") else is_counted
            # What `update_state` takes 26 operations for.
            mean.total.value.assign_add(ops.where(is_counted, parts[name], 0.0))
            mean.count.value.assign_add(ops.cast(is_counted, "float32"))
        return _logs({metric.name: metric.result() for metric in (*self.means.values(), self.skipped_steps)})

    @tf.autograph.experimental.do_not_convert
    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels, is_counted = unpack(data, self.vae)
        images = as_floats(images)
        vae = self.inference_vae
        features = vae.encoder(images, labels)
        mean, _ = vae.bottleneck.posterior(*features)
        reconstructions = vae.decode(mean, labels)
        latents = vae.bottleneck(*features)
        sampled = vae.decode(latents["z"], labels) if vae.variational else reconstructions
        kl, punished_kl = self.step_losses.kl(latents, lambda name, own: own)
        nll = self.objective.nll(images, sampled, vae.likelihood_scale)
        parts = {"nll": nll, "kl": kl, "elbo": -(nll + kl), "mse": ops.mean(ops.square(images - reconstructions))}
        parts |= latents.get("losses", {})
        if self.objective.perceptual_loss is not None:
            parts["lpips"] = self.objective.perceptual(images, reconstructions)
        # β at its final value, so that epochs can be compared.
        parts["loss"] = self.objective.reconstruction(parts) + self.config.beta * punished_kl
        parts["loss"] += self.step_losses.bottleneck_loss(parts)
        if self.discriminator is not None:
            parts |= self.step_losses.adversarial(images, sampled, training=False)
        # Each of several replicas has batches of its own, and copies that do not count.
        count = ops.shape(images)[0] if is_counted is None else ops.sum(ops.cast(is_counted, "float32"))
        for name, value in parts.items():
            self.means[name].update_state(value, sample_weight=count)
        for metric in (self.psnr, self.ssim):
            metric.update_state(images, reconstructions, sample_weight=is_counted)
        reported = [*(self.means[name] for name in parts), self.psnr, self.ssim]
        return _logs(dict(zip((metric.name for metric in reported), _results(reported), strict=True)))

    def _noise(self, images: Any) -> Any:
        """ε of this replica's images: its part of the draws for the whole batch."""
        draws = self.step_losses.draws
        shape = self.vae.latent_shape if draws == 1 else (draws, *self.vae.latent_shape)
        return rows_of_replica(self.vae.bottleneck.noise((ops.shape(images)[0] * replicas(), *shape)))

    def _gradients(self, batch: Batch, batch_mean: BatchMean | None = None) -> tuple[list[list[Any]], Parts]:
        """Each player's gradients, of losses that are scaled as its optimizer wants them, and the losses' parts."""
        losses = self.step_losses
        # One forward of decoder and discriminator serves the gradients of both players. Each player's tape follows that
        # player's weights alone: the other's gradients would be traced as well, and thrown away.
        tapes = [tf.GradientTape(persistent=True, watch_accessed_variables=False), tf.GradientTape()]
        with tapes[0] as tape:
            tape.watch([variable.value for variable in self.vae.trainable_variables])
            beta = beta_at(self.step, self.config, self.total_steps)
            turns = ops.cast(self.step % 4, "int32") if self.config.equivariance_weight else 0
            parts, made = losses.autoencoder(batch, batch_mean or _mean_of_replicas, beta, turns)
            parts["beta"] = beta
            reconstruction_loss = self.objective.reconstruction(parts)
            loss = reconstruction_loss + parts.pop("prior_loss") + losses.bottleneck_loss(parts)
            if self.config.equivariance_weight:
                loss += self.config.equivariance_weight * parts["equivariance"]
            if self.discriminator is not None:
                with tapes[1]:
                    parts |= losses.adversarial(batch.images, made.reconstructions, training=True)
                    adversarial_loss, discriminator_loss = parts["adversarial"], parts["discriminator"]
                    if made.features is not None:
                        parts |= losses.on_features(*made.features)
                        adversarial_loss += self.config.feature_weight * parts["feature_adversarial"]
                        discriminator_loss += parts["feature_discriminator"]
                    discriminator_loss = self.discriminator_optimizer.scale_loss(discriminator_loss)
                with tape.stop_recording():
                    parts["adversarial_weight"] = self._adversarial_weight(tape, reconstruction_loss, adversarial_loss)
                loss = loss + parts["adversarial_weight"] * adversarial_loss
            scaled_loss = self.optimizer.scale_loss(loss)
        parts["loss"] = loss
        scaled = (scaled_loss,) if self.discriminator is None else (scaled_loss, discriminator_loss)
        gradients = [
            # The variables under Keras's own: zeros are made by their TensorFlow dtype.
            tape.gradient(
                loss, [variable.value for variable in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            for tape, loss, (_, variables) in zip(tapes, scaled, self._players, strict=False)
        ]
        return gradients, parts

    def _accumulated(self, batch: Batch) -> tuple[list[list[Any]], Parts]:
        """`_gradients` of the whole batch, made of those of its passes."""
        losses, count = self.step_losses, self.accumulate
        known = losses.batch_means_at_zero
        if known:
            known = mean_over_replicas(
                mean_of_passes(lambda number: losses.batch_means(pass_of(batch, number, count)), count, known)
            )
        # Each pass begins where the whole batch does, so that the last leaves what one pass of all of it would.
        before = [(variable, tf.identity(variable.value)) for variable in losses.discriminator_state]

        def of_pass(number: tf.Tensor) -> tuple[list[list[Any]], Parts]:
            for variable, value in before:
                variable.assign(value)
            return self._gradients(
                pass_of(batch, number, count), lambda name, own: own + ops.stop_gradient(known[name] - own)
            )

        later = self.vae.bottleneck.figure_names
        names = [name for name in self.means if not (name.endswith("gradient_norm") or name in later)]
        parts = dict.fromkeys([*names, "scale"], tf.zeros(()))
        parts["statistics"] = self.vae.bottleneck.statistics_at_zero()
        if self.feature_discriminator is not None:
            parts["mean_squares"] = tf.zeros(len(self.feature_discriminator.mean_squares))
        gradients = [[tf.zeros(variable.shape) for variable in variables] for _, variables in self._players]
        return mean_of_passes(of_pass, count, (gradients, parts))

    @property
    def _players(self) -> list[tuple[Any, list[Any]]]:
        """Each player's optimizer and variables."""
        players = [(self.optimizer, self.vae.trainable_variables)]
        if self.discriminator is not None:
            players.append((self.discriminator_optimizer, self.step_losses.discriminator_variables))
        return players

    def _follow(self, scale: Any) -> None:
        """Keep the running mean of the batches' calibrated scales in the model, for evaluation."""
        if self.vae.scale is not None:
            return
        momentum = ops.where(self.step == 0, 0.0, SCALE_MOMENTUM)
        running = momentum * self.vae.likelihood_scale + (1.0 - momentum) * scale
        # A step that overflows must not leave its infinity in the model.
        self.vae.likelihood_scale.assign(ops.where(ops.isfinite(running), running, self.vae.likelihood_scale))

    def _adversarial_weight(self, tape: tf.GradientTape, reconstruction_loss: Any, adversarial_loss: Any) -> Any:
        weight = self.objective.adversarial_weight
        if self.config.adaptive_weight:
            kernel = self.vae.decoder.to_image.kernel
            gradients = [tape.gradient(loss, kernel) for loss in (reconstruction_loss, adversarial_loss)]
            weight *= adaptive_weight(*mean_over_replicas(gradients))
        return ops.where(is_adversarial_at(self.step, self.config, self.total_steps), weight, 0.0)

    def _update(self, gradients: list[list[Any]]) -> tuple[list[Any], Any]:
        """One step of every player, or of none where any gradient is not finite.

        Returns the gradients' global norms and whether they are finite.
        """
        players = self._players
        norms = [
            tf.linalg.global_norm(own) / optimizer.dynamic_scale
            for own, (optimizer, _) in zip(gradients, players, strict=True)
        ]
        is_finite = ops.isfinite(sum(norms))
        # One player's overflow is shown to both, so that they stay in step.
        for own, norm, (optimizer, variables) in zip(gradients, norms, players, strict=True):
            apply_where(optimizer, is_finite, own, variables, norm)
        self.skipped_steps.update_state(ops.where(is_finite, 0.0, 1.0))
        return norms, is_finite

    def _average_weights(self) -> None:
        if self.ema_vae is None:
            return
        # Early on a long memory would hold on to the initial weights (as in tf.train.ExponentialMovingAverage).
        step = ops.cast(self.step, "float32")
        share = 1.0 - ops.minimum(self.ema, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.ema_vae.weights, self.vae.weights, strict=True):
            if weight.trainable:
                # average -= share·(average - weight), in one operation instead of three.
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=average.value.handle, alpha=share, delta=average.value - weight.value
                )
            else:
                average.assign(weight)


def _mean_of_replicas(name: str, own: Any) -> Any:
    return own if replicas() == 1 else own + ops.stop_gradient(mean_over_replicas(own) - own)


def _results(means: list[keras.metrics.Mean]) -> list[Any]:
    """The means over all replicas, each of which saw images of its own."""
    if replicas() == 1:
        return [mean.result() for mean in means]
    # Inside of a step a metric's variables are this replica's own.
    sums = sum_over_replicas([tf.stack([mean.total.value, mean.count.value]) for mean in means])
    return [tf.math.divide_no_nan(total, count) for total, count in map(tf.unstack, sums)]


def _logs(logs: dict[str, Any]) -> dict[str, Any]:
    """What Keras can average over workers: it joins their logs along a first axis."""
    return {name: ops.reshape(value, (1,)) for name, value in logs.items()} if is_multi_worker() else logs
