"""`VAETrainer`: both players, each with its own optimizer, in one ``train_step``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_vae import metrics
from keras_vae.config import ObjectiveConfig
from keras_vae.layers import StandardNormal
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator
from keras_vae.training.objective import Objective, adaptive_weight
from keras_vae.training.optimizers import SkippingOptimizer
from keras_vae.training.schedules import beta_at, is_adversarial_at

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


class VAETrainer(keras.Model):
    """Trains a `VAE` against ``NLL + β·KL + λ_p·LPIPS + λ_a·adversarial``, and a discriminator beside it.

    Data sets yield images (N, H, W, C), float32 in [0, 1], or (images, labels); labels (N,), int32, are used by a
    conditional model alone. A step makes one decoder forward for both players. The discriminator learns from the first
    step on; the autoencoder heeds it from ``config.adversarial_start`` on. A step with a gradient that is not finite
    changes neither player, in any precision, and counts in ``skipped_steps``.

    Args:
        vae: the model to train.
        discriminator: gives patch logits of images; None leaves the adversarial part out.
        perceptual_loss: takes (images, reconstructions), gives distances (N,), as ``losses.LPIPS(reduction=None)``;
            None leaves the part out.
        config: weights and schedules.
        feature_discriminator: a second discriminator, on the features that the perceptual loss has of its share of the
            batch; its loss counts ``config.feature_weight`` times the first's. None leaves it out. It needs the first,
            and a perceptual loss with the methods ``features`` and ``distance`` of `losses.LPIPS`.
        total_steps: planned length of the run, of which the config's shares are taken. None: no warm-ups.
        ema: decay of the averaged weights in ``ema_vae``; 0 keeps none.

    Example:
        ```python
        trainer = VAETrainer(VAE(latent_dim=2), PatchDiscriminator(), LPIPS(reduction=None))
        trainer.compile(keras.optimizers.AdamW(2e-3), keras.optimizers.AdamW(5e-4))
        trainer.fit(images, batch_size=128, epochs=10, validation_data=(test_images,))
        ```

    A subclass changes what is minimised by ``objective_class``.

    Reported (means over the epoch; likelihoods in nats an image): ``loss elbo nll kl beta mse gradient_norm
    skipped_steps``; with a perceptual loss ``lpips``; with a discriminator ``adversarial discriminator real_accuracy
    fake_accuracy adversarial_weight discriminator_gradient_norm``; with a feature discriminator ``feature_adversarial
    feature_discriminator``. Testing reports ``elbo nll kl mse psnr ssim
    [lpips]`` of the averaged weights and, with a discriminator, ``adversarial discriminator real_accuracy
    fake_accuracy``; image metrics are of the reconstruction through the posterior mean, the ELBO and what the
    discriminator sees of one sampled z an image.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config or ObjectiveConfig()
        self.vae = vae
        if feature_discriminator is not None and (discriminator is None or not hasattr(perceptual_loss, "features")):
            raise ValueError("a feature discriminator needs a discriminator and a perceptual loss that has features")
        if self.config.free_bits and not isinstance(vae.prior, StandardNormal):
            raise ValueError("free bits are of each latent dimension's KL, which a prior of your own does not have")
        self.discriminator = discriminator
        self.feature_discriminator = feature_discriminator
        self.objective = self.objective_class(self.config, vae.likelihood, perceptual_loss)
        self.total_steps = total_steps
        self.ema = ema
        self.ema_vae = self._copy_of(vae) if ema else None
        self.step = self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False, name="step")
        names = [*PARTS]
        names += ("lpips",) if perceptual_loss is not None else ()
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

    @staticmethod
    def _copy_of(vae: VAE) -> VAE:
        copy = type(vae).from_config(vae.get_config())
        copy.set_weights(vae.get_weights())
        copy.trainable = False
        return copy

    @property
    def inference_vae(self) -> VAE:
        """The model to evaluate, save and sample from: the averaged weights if there are any."""
        return self.vae if self.ema_vae is None else self.ema_vae

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str = "adamw",
        discriminator_optimizer: keras.optimizers.Optimizer | str = "adamw",
        *,
        jit_compile: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Set the players' optimizers; other arguments as `keras.Model.compile` (no ``loss``, no ``metrics``).

        ``jit_compile=None`` uses XLA where there is a GPU: on CPU it was measured slower.

        Raises:
            ValueError: when both players are given the same optimizer object.
        """
        if optimizer is discriminator_optimizer and not isinstance(optimizer, str):
            raise ValueError("each player needs an optimizer of its own: it holds that player's moments")
        if jit_compile is None:
            jit_compile = bool(tf.config.list_physical_devices("GPU"))
        super().compile(
            optimizer=_guarded(optimizer, self.vae, self.vae.trainable_variables),
            auto_scale_loss=False,
            jit_compile=jit_compile,
            **kwargs,
        )
        if self.discriminator is not None:
            self.discriminator_optimizer = _guarded(
                discriminator_optimizer, self.discriminator, self._discriminator_variables
            )

    @property
    def _discriminator_variables(self) -> list[Any]:
        """What the second player trains: the weights of one discriminator or two."""
        players = (self.discriminator, self.feature_discriminator)
        return [variable for player in players if player is not None for variable in player.trainable_variables]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All of them, so that Keras resets them at the start of an epoch."""
        return [*self.means.values(), self.skipped_steps, self.psnr, self.ssim]

    def call(self, images: Any, labels: Any = None, training: bool = False) -> Any:
        return self.vae(images, labels, training=training)

    # Nothing in the steps depends on a tensor's value in Python: rewriting them would only take start-up time.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels = self._unpack(data)
        # Persistent: one forward of decoder and discriminator serves the gradients of both players.
        with tf.GradientTape(persistent=True) as tape:
            parts, reconstructions, features = self._autoencoder_parts(images, labels)
            reconstruction_loss = self.objective.reconstruction(parts)
            loss = reconstruction_loss + parts["beta"] * parts.pop("punished_kl")
            if self.discriminator is not None:
                parts |= self._adversarial_parts(images, reconstructions, training=True)
                adversarial_loss, discriminator_loss = parts["adversarial"], parts["discriminator"]
                if features is not None:
                    parts |= self._feature_parts(*features)
                    adversarial_loss += self.config.feature_weight * parts["feature_adversarial"]
                    discriminator_loss += parts["feature_discriminator"]
                with tape.stop_recording():
                    parts["adversarial_weight"] = self._adversarial_weight(tape, reconstruction_loss, adversarial_loss)
                loss = loss + parts["adversarial_weight"] * adversarial_loss
                discriminator_loss = self.discriminator_optimizer.scale_loss(discriminator_loss)
            scaled_loss = self.optimizer.scale_loss(loss)
        players = [(self.optimizer, self.vae.trainable_variables, scaled_loss)]
        if self.discriminator is not None:
            players.append((self.discriminator_optimizer, self._discriminator_variables, discriminator_loss))
        norms, is_finite = self._update(tape, players)
        parts["loss"] = loss
        parts |= zip(("gradient_norm", "discriminator_gradient_norm"), norms, strict=False)
        self._average_weights()
        self.step.assign_add(1)
        self.skipped_in_a_row.assign(ops.where(is_finite, 0, self.skipped_in_a_row + 1))
        self.finite_means.assign(ops.stack([ops.isfinite(parts[name]) for name in self.means]))
        for name, mean in self.means.items():
            # One overflow of float16 would make the epoch's mean infinite. Norms are of the steps that were made.
            is_counted = is_finite if name.endswith("gradient_norm") else ops.isfinite(parts[name])
            mean.update_state(ops.where(is_counted, parts[name], 0.0), ops.cast(is_counted, "float32"))
        return {metric.name: metric.result() for metric in (*self.means.values(), self.skipped_steps)}

    @tf.autograph.experimental.do_not_convert
    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels = self._unpack(data)
        vae = self.inference_vae
        mean, log_var = vae.encode(images, labels)
        reconstructions = vae.decode(mean, labels)
        if vae.variational:
            z = vae.sampling(mean, log_var)
            sampled = vae.decode(z, labels)
            kl = ops.mean(vae.prior.kl(mean, log_var, z))
        else:
            sampled, kl = reconstructions, 0.0
        nll = self.objective.nll(images, sampled, vae.likelihood_scale)
        parts = {"nll": nll, "kl": kl, "elbo": -(nll + kl), "mse": ops.mean(ops.square(images - reconstructions))}
        if self.objective.perceptual_loss is not None:
            parts["lpips"] = self.objective.perceptual(images, reconstructions)
        if self.discriminator is not None:
            parts |= self._adversarial_parts(images, sampled, training=False)
        count = ops.shape(images)[0]
        for name, value in parts.items():
            self.means[name].update_state(value, sample_weight=count)
        for metric in (self.psnr, self.ssim):
            metric.update_state(images, reconstructions)
        reported = [*(self.means[name] for name in parts), self.psnr, self.ssim]
        return {metric.name: metric.result() for metric in reported}

    def _unpack(self, data: Any) -> tuple[Any, Any]:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        if self.vae.num_classes is None:
            return images, None
        if labels is None:
            raise ValueError("a conditional model needs labels: the data set has to yield (images, labels)")
        return images, labels

    def _autoencoder_parts(self, images: Any, labels: Any) -> tuple[dict[str, Any], Any, tuple[Any, Any] | None]:
        """The parts of the generator's loss that need no discriminator, the reconstructions, and what the feature
        discriminator sees of real images and of them.
        """
        vae = self.vae
        mean, log_var = vae.encode(images, labels)
        z = vae.sampling(mean, log_var) if vae.variational else mean
        reconstructions = vae.decode(z, labels)
        scale = vae.likelihood_scale if vae.scale is not None else self._calibrate(images, reconstructions)
        kl = ops.mean(vae.prior.kl(mean, log_var, z)) if vae.variational else 0.0
        parts = {
            "nll": self.objective.nll(images, reconstructions, scale),
            "kl": kl,
            "punished_kl": self.objective.punished_kl(kl, mean, log_var) if vae.variational else 0.0,
            "beta": beta_at(self.step, self.config, self.total_steps),
            "mse": ops.mean(ops.square(images - reconstructions)),
        }
        parts["elbo"] = -(parts["nll"] + parts["kl"])
        features = None
        if self.feature_discriminator is not None:
            parts["lpips"], features = self.objective.perceptual_with_features(images, reconstructions)
        elif self.objective.perceptual_loss is not None:
            parts["lpips"] = self.objective.perceptual(images, reconstructions)
        return parts, reconstructions, features

    def _calibrate(self, images: Any, reconstructions: Any) -> Any:
        """The batch's own scale, whose running mean the model keeps for evaluation."""
        scale = self.objective.calibrated(images, reconstructions)
        momentum = ops.where(self.step == 0, 0.0, SCALE_MOMENTUM)
        running = momentum * self.vae.likelihood_scale + (1.0 - momentum) * scale
        # A step that overflows must not leave its infinity in the model.
        self.vae.likelihood_scale.assign(ops.where(ops.isfinite(running), running, self.vae.likelihood_scale))
        return scale

    def _adversarial_parts(self, images: Any, reconstructions: Any, *, training: bool) -> dict[str, Any]:
        """Both players' adversarial losses from one pass of the discriminator over each kind."""
        assert self.discriminator is not None
        real_logits = self.discriminator(images, training=training)
        fake_logits = self.discriminator(reconstructions, training=training)
        threshold = self.objective.adversarial_loss.threshold
        return {
            "adversarial": self.objective.adversarial(fake_logits),
            "discriminator": self.objective.discriminator(real_logits, fake_logits),
            "real_accuracy": ops.mean(ops.cast(real_logits > threshold, "float32")),
            "fake_accuracy": ops.mean(ops.cast(fake_logits <= threshold, "float32")),
        }

    def _feature_parts(self, real_features: list[Any], fake_features: list[Any]) -> dict[str, Any]:
        """Both players' losses on the perceptual network's features."""
        assert self.feature_discriminator is not None
        real_logits = self.feature_discriminator(real_features, training=True)
        fake_logits = self.feature_discriminator(fake_features, training=True)
        return {
            "feature_adversarial": self.objective.adversarial(fake_logits),
            "feature_discriminator": self.objective.discriminator(real_logits, fake_logits),
        }

    def _adversarial_weight(self, tape: tf.GradientTape, reconstruction_loss: Any, adversarial_loss: Any) -> Any:
        weight = self.config.adversarial_weight
        if self.config.adaptive_weight:
            kernel = self.vae.decoder.to_image.kernel
            weight *= adaptive_weight(
                tape.gradient(reconstruction_loss, kernel), tape.gradient(adversarial_loss, kernel)
            )
        return ops.where(is_adversarial_at(self.step, self.config, self.total_steps), weight, 0.0)

    def _update(self, tape: tf.GradientTape, players: list[tuple[Any, list[Any], Any]]) -> tuple[list[Any], Any]:
        """One step of every player, or of none where any gradient is not finite.

        Returns the gradients' global norms and whether they are finite.
        """
        gradients = [
            # The variables under Keras's own: zeros are made by their TensorFlow dtype.
            tape.gradient(
                loss, [variable.value for variable in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            for _, variables, loss in players
        ]
        norms = [
            tf.linalg.global_norm(own) / optimizer.dynamic_scale
            for own, (optimizer, _, _) in zip(gradients, players, strict=True)
        ]
        is_finite = ops.isfinite(sum(norms))
        # The wrapped optimizers skip a step and lower their scale when any gradient has a NaN: one player's overflow
        # is shown to both, so that they stay in step.
        poison = ops.where(is_finite, 0.0, float("nan"))
        for (first, *others), (optimizer, variables, _) in zip(gradients, players, strict=True):
            optimizer.apply([first + ops.cast(poison, first.dtype), *others], variables)
        self.skipped_steps.update_state(ops.where(is_finite, 0.0, 1.0))
        return norms, is_finite

    def _average_weights(self) -> None:
        if self.ema_vae is None:
            return
        # Early on a long memory would hold on to the initial weights (as in tf.train.ExponentialMovingAverage).
        step = ops.cast(self.step, "float32")
        decay = ops.minimum(self.ema, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.ema_vae.weights, self.vae.weights, strict=True):
            if weight.trainable:
                average.assign_sub((1.0 - decay) * (average - weight))
            else:
                average.assign(weight)


def _guarded(optimizer: Any, player: keras.Model, variables: list[Any]) -> keras.optimizers.LossScaleOptimizer:
    """The optimizer in Keras's wrapper that skips steps whose gradients are not finite, built for ``variables``.

    float16 needs the wrapper's loss scale as well; in the other precisions the scale stays at 1.
    """
    optimizer = keras.optimizers.get(optimizer)
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        if player.compute_dtype == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        else:
            optimizer = SkippingOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
