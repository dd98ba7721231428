"""The parts of both players' losses from one pass over a batch or a part of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents import Latents
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator
from keras_vae.training.objective import Objective, halved_and_turned, iwae_loss

Parts = dict[str, Any]
# Takes a name and the mean over a part of the batch; gives the mean over the whole batch, with the part's gradient.
BatchMean = Callable[[str, Any], Any]


class Batch(NamedTuple):
    """Images (N, H, W, C) float32, labels (N,) int32 or None, and the bottleneck's noise.

    The noise is (N, *latent_shape), with K draws per image (N, K, *latent_shape), or None.
    """

    images: Any
    labels: Any
    epsilon: Any


class AutoencoderPass(NamedTuple):
    """Reconstructions (N, H, W, C), and the real and reconstructed features for the feature discriminator, or None."""

    reconstructions: Any
    features: tuple[list[Any], list[Any]] | None


@dataclasses.dataclass(frozen=True)
class StepLosses:
    """The networks of both players and their objective; the arguments are those of `VAETrainer`."""

    objective: Objective
    vae: VAE
    discriminator: PatchDiscriminator | None = None
    feature_discriminator: FeatureDiscriminator | None = None

    @property
    def batch_means_at_zero(self) -> Parts:
        """Zeros shaped like `batch_means`; empty if an image's loss does not depend on its batch."""
        found = {"error": ops.zeros(())} if self.vae.scale is None else {}
        if self.objective.config.free_bits:
            found["dimension_kl"] = ops.zeros(self.vae.latent_shape)
        if self._has_relative_lpips:
            found["lpips"] = ops.zeros(())
        return found

    def batch_means(self, batch: Batch) -> Parts:
        """The means over a batch that its loss depends on nonlinearly, so that losses of parts do not just average."""
        batch, _, latents = self._drawn(batch)
        found = {}
        if self.objective.config.free_bits:
            found["dimension_kl"] = ops.mean(latents["kl_per_dimension"], axis=0)
        if self.vae.scale is not None and not self._has_relative_lpips:
            return found
        reconstructions = self.vae.decoder(latents["z"], batch.labels)
        if self.vae.scale is None:
            found["error"] = self.objective.error(batch.images, reconstructions)
        if self._has_relative_lpips:
            first = slice(None, None, self.draws)
            found["lpips"] = self.objective.perceptual(batch.images[first], reconstructions[first])
        return found

    @property
    def _has_relative_lpips(self) -> bool:
        """Whether the loss takes the logarithm of the batch's mean LPIPS."""
        return self.objective.perceptual_loss is not None and self.objective.config.relative_weights

    def autoencoder(
        self, batch: Batch, batch_mean: BatchMean, beta: Any, turns: Any = 0
    ) -> tuple[Parts, AutoencoderPass]:
        """The parts of the generator's loss that need no discriminator; ``turns`` are those of `equivariance`.

        ``prior_loss`` is what the bound adds to the NLL: ``β·KL``, or with several draws of z per image what makes it
        the IWAE bound. ``scale`` is the likelihood's, and ``statistics`` are the bottleneck's. What is not a likelihood
        judges the first draw. With several draws the KL is estimated from them.
        """
        vae, objective = self.vae, self.objective
        batch, heads, latents = self._drawn(batch)
        images = batch.images
        # The decoder itself: where a model clips what it decodes, the gradient must not be.
        reconstructions = vae.decoder(latents["z"], batch.labels)
        if vae.scale is None:
            # The loss has zero slope at the most likely scale.
            error = ops.stop_gradient(batch_mean("error", objective.error(images, reconstructions)))
            scale = objective.calibrated(error)
        else:
            scale = vae.likelihood_scale
        if self.draws == 1:
            kl, punished_kl = self.kl(latents, batch_mean)
            nll, prior_loss = objective.nll(images, reconstructions, scale), beta * punished_kl
        else:
            nll_of_draws = objective.nll_of_images(images, reconstructions, scale)
            nll = ops.mean(nll_of_draws)
            log_ratio = vae.bottleneck.log_ratio(*heads, latents["z"])
            kl = ops.mean(log_ratio)
            prior_loss = iwae_loss(nll_of_draws + beta * log_ratio, self.draws) - nll
            images, reconstructions = images[:: self.draws], reconstructions[:: self.draws]
        parts = {
            **latents.get("losses", {}),
            "statistics": latents.get("statistics", {}),
            "nll": nll,
            "kl": kl,
            "prior_loss": prior_loss,
            "mse": ops.mean(ops.square(images - reconstructions)),
            "scale": scale,
        }
        parts["elbo"] = -(parts["nll"] + parts["kl"])
        features = None
        if self.feature_discriminator is not None:
            parts["lpips"], features = objective.perceptual_with_features(images, reconstructions)
        elif objective.perceptual_loss is not None:
            parts["lpips"] = objective.perceptual(images, reconstructions)
        if self._has_relative_lpips:
            parts["lpips"] = batch_mean("lpips", parts["lpips"])
        if objective.config.equivariance_weight:
            labels = None if batch.labels is None else batch.labels[:: self.draws]
            turned = self.equivariance(images, latents["z"][:: self.draws], labels, scale, turns)
            parts["equivariance"] = objective.reconstruction_beside(turned, parts.get("lpips"))
        return parts, AutoencoderPass(reconstructions, features)

    def equivariance(self, images: Any, z: Any, labels: Any, scale: Any, turns: Any) -> Parts:
        """NLL and LPIPS of ``D(τ z)`` as reconstructions of ``τ x``; the NLL in nats for as many pixels as x has.

        τ halves images and latents and turns them by ``turns`` quarter turns. Every τ has its turn, so that a step that
        is repeated is the same.

        Reference: Kouzelis et al. 2025, "EQ-VAE: Equivariance Regularized Latent Space for Improved Generative Image
        Modeling", eq. 4, whose scales are drawn from 0.25 to 1.
        """
        images, z = halved_and_turned(images, turns), halved_and_turned(z, turns)
        reconstructions = self.vae.decoder(z, labels)
        parts = {"nll": 4.0 * self.objective.nll(images, reconstructions, scale)}
        if self.objective.perceptual_loss is not None:
            parts["lpips"] = self.objective.perceptual(images, reconstructions)
        return parts

    def kl(self, latents: Latents, batch_mean: BatchMean) -> tuple[Any, Any]:
        """The batch's mean KL in nats per image, and the KL that β multiplies."""
        kl = ops.mean(latents["kl"])
        if not self.objective.config.free_bits:
            return kl, kl
        dimension_kl = batch_mean("dimension_kl", ops.mean(latents["kl_per_dimension"], axis=0))
        return kl, self.objective.free_bits_kl(dimension_kl)

    def bottleneck_loss(self, parts: Parts) -> Any:
        """The sum of the bottleneck's own losses among ``parts``."""
        return sum(parts[name] for name in self.vae.bottleneck.loss_names)

    def adversarial(self, images: Any, reconstructions: Any, *, training: bool) -> Parts:
        """Both players' adversarial losses from one discriminator pass over images and one over reconstructions."""
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

    def on_features(self, real_features: list[Any], fake_features: list[Any]) -> Parts:
        """Both players' losses on the perceptual network's features, and the mean squares of the features."""
        assert self.feature_discriminator is not None
        real_logits = self.feature_discriminator(real_features, training=True)
        fake_logits = self.feature_discriminator(fake_features, training=True)
        mean_squares = [self.feature_discriminator.mean_squares_of(each) for each in (real_features, fake_features)]
        return {
            "mean_squares": 0.5 * (mean_squares[0] + mean_squares[1]),
            "feature_adversarial": self.objective.adversarial(fake_logits),
            "feature_discriminator": self.objective.discriminator(real_logits, fake_logits),
        }

    @property
    def discriminator_variables(self) -> list[Any]:
        """The weights that the second player trains, of one discriminator or two."""
        players = (self.discriminator, self.feature_discriminator)
        return [variable for player in players if player is not None for variable in player.trainable_variables]

    @property
    def discriminator_state(self) -> list[tf.Variable]:
        """What a discriminator pass changes besides: the vectors of the spectral normalisation."""
        players = (self.discriminator, self.feature_discriminator)
        return [variable for player in players if player is not None for variable in player.non_trainable_variables]

    @property
    def draws(self) -> int:
        """Draws of z per image."""
        return self.objective.config.importance_samples_train

    def _drawn(self, batch: Batch) -> tuple[Batch, tuple[Any, ...], Latents]:
        """The batch with every image as often as z is drawn for it, what the encoder's heads give, and the latents."""
        heads = tuple(self.vae.encoder(batch.images, batch.labels))
        if self.draws > 1:
            heads = tuple(ops.repeat(part, self.draws, axis=0) for part in heads)
            images, labels = (None if part is None else ops.repeat(part, self.draws, axis=0) for part in batch[:2])
            batch = Batch(images, labels, ops.reshape(batch.epsilon, (-1, *self.vae.latent_shape)))
        noise = {} if batch.epsilon is None else {"epsilon": batch.epsilon}
        return batch, heads, self.vae.bottleneck(*heads, **noise)


def check_equivariance(vae: VAE) -> None:
    """Check that `StepLosses.equivariance` can halve the model's latents and images.

    Raises:
        InputError: if it cannot.
    """
    if not vae.encoder.is_spatial:
        raise InputError(f"equivariance needs a spatial latent to turn; this one is a vector of {vae.latent_dim}")
    height, width, _ = vae.latent_shape
    geometry = vae.encoder.geometry_of(*vae.image_shape[:2])
    if height % 2 or width % 2 or geometry.padded != vae.image_shape[:2]:
        factor = 2 * geometry.factor
        raise InputError(
            f"equivariance halves images and latents: the images' sides must be multiples of {factor}, got "
            f"{vae.image_shape[0]}×{vae.image_shape[1]}"
        )
