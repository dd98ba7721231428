"""The objective on `keras.ops`, ``L_G = NLL + β·KL + λ_p·LPIPS + λ_a·adversarial``, and the discriminator's loss.

Every loss is a float32 scalar, the mean over the batch. A trainer for another backend only adds the training step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_vae.config import ObjectiveConfig
from keras_vae.losses import (
    AdversarialLoss,
    get_adversarial_loss,
    likelihood_error,
    likelihood_nll,
    scale_for_error,
)

# Below it, the logarithm of LPIPS is constant: rounding is all that is left.
LPIPS_FLOOR = 1e-6
# Bounds of the adaptive weight (Esser et al. 2021, section 3.1; the upper one is their code's).
ADAPTIVE_EPSILON, ADAPTIVE_MAXIMUM = 1e-4, 1e4


@dataclasses.dataclass(frozen=True)
class Objective:
    """The losses that both players minimise.

    With ``config.relative_weights``, the autoencoder's is

        ``L_G = (NLL + w_p·D/2·log LPIPS + w_a·D/2·adversarial) / (1 + w_p) + β·KL``

    for images of D values. A Gaussian likelihood with a calibrated scale has ``NLL = D/2·log MSE`` but for a constant.
    So the first two terms are the logarithm of ``MSE · LPIPS^w_p``. The weights then mean the same for all data, sizes
    and latents, and at every stage of training, and β = 1 is that of the ELBO if ``w_p`` and ``w_a`` are 0.

    Args:
        config: weights and kinds of the parts.
        likelihood: "gaussian", "laplace", "bernoulli" or "discretized_logistic".
        perceptual_loss: takes (images, reconstructions) and returns their distances (N,); None leaves the part out.
        values: D, the number of values of an image; only relative weights need it.
    """

    config: ObjectiveConfig
    likelihood: str = "gaussian"
    perceptual_loss: Callable[[Any, Any], Any] | None = None
    values: int | None = None

    @property
    def adversarial_loss(self) -> AdversarialLoss:
        """The pair of losses that ``config.adversarial_loss`` names."""
        return get_adversarial_loss(self.config.adversarial_loss)

    def error(self, images: Any, reconstructions: Any) -> Any:
        """The mean error of a batch, from which the likelihood's scale is calibrated."""
        return likelihood_error(self.likelihood, images, reconstructions)

    def calibrated(self, error: Any) -> Any:
        """The likelihood's scale that best fits images with this mean error (σ-VAE, Rybkin et al. 2021)."""
        return scale_for_error(self.likelihood, error)

    def nll(self, images: Any, reconstructions: Any, scale: Any) -> Any:
        """``-log p(x | z)`` in nats per image; ``scale`` as for `likelihood_nll`."""
        return ops.mean(self.nll_of_images(images, reconstructions, scale))

    def nll_of_images(self, images: Any, reconstructions: Any, scale: Any) -> Any:
        """``-log p(x | z)`` of each image, (N,) nats; ``scale`` as for `likelihood_nll`."""
        return likelihood_nll(self.likelihood, images, reconstructions, scale)

    def free_bits_kl(self, dimension_kl: Any) -> Any:
        """The KL that β multiplies, where each dimension counts for at least ``config.free_bits`` nats.

        ``dimension_kl`` (*latent_shape) is the batch's mean KL of each dimension; see `losses.free_bits_kl`.
        """
        return ops.sum(ops.maximum(dimension_kl, self.config.free_bits))

    def perceptual(self, images: Any, reconstructions: Any) -> Any:
        """Mean LPIPS of `perceptual_share`."""
        images, reconstructions = (self.perceptual_share(batch) for batch in (images, reconstructions))
        return ops.mean(self.perceptual_loss(images, reconstructions))  # type: ignore[misc]

    def perceptual_with_features(self, images: Any, reconstructions: Any) -> tuple[Any, tuple[list[Any], list[Any]]]:
        """`perceptual`, and the features of the real images and the reconstructions that it was computed from.

        The finest feature map is left out, because it is large and says what the pixels say.
        """
        loss: Any = self.perceptual_loss
        real = loss.features(ops.stop_gradient(self.perceptual_share(images)))
        fake = loss.features(self.perceptual_share(reconstructions))
        return ops.mean(loss.distance(real, fake)), (real[1:], fake[1:])

    def perceptual_share(self, batch: Any) -> Any:
        """The leading ``perceptual_fraction`` of a batch; batches are shuffled, so means over it are unbiased."""
        share = self.config.perceptual_fraction
        if share == 1:
            return batch
        count = batch.shape[0]
        if count is not None:
            return batch[: max(1, round(share * count))]
        count = ops.cast(ops.shape(batch)[0], "float32")
        return batch[: ops.maximum(1, ops.cast(ops.round(share * count), "int32"))]

    def adversarial(self, fake_logits: Any) -> Any:
        """The generator's side of the adversarial loss."""
        return ops.mean(self.adversarial_loss.generator_loss(fake_logits))

    def discriminator(self, real_logits: Any, fake_logits: Any) -> Any:
        """The discriminator's loss."""
        return ops.mean(self.adversarial_loss.discriminator_loss(real_logits, fake_logits))

    def reconstruction(self, parts: dict[str, Any]) -> Any:
        """The autoencoder's loss without its adversarial and its KL part, of the ``nll`` and ``lpips`` in ``parts``."""
        if "lpips" not in parts:
            return parts["nll"]
        if not self.config.relative_weights:
            return parts["nll"] + self.config.perceptual_weight * parts["lpips"]
        logarithm = ops.log(ops.maximum(parts["lpips"], LPIPS_FLOOR))
        return self._share * (parts["nll"] + self.config.perceptual_weight * self._unit * logarithm)

    def reconstruction_beside(self, parts: dict[str, Any], lpips: Any) -> Any:
        """`reconstruction` of other images, whose LPIPS has the weight that it has at ``lpips``, the batch's mean."""
        if "lpips" not in parts or not self.config.relative_weights:
            return self.reconstruction(parts)
        weight = self.config.perceptual_weight * self._unit / ops.stop_gradient(ops.maximum(lpips, LPIPS_FLOOR))
        return self._share * (parts["nll"] + weight * parts["lpips"])

    @property
    def adversarial_weight(self) -> float:
        """The factor of the adversarial loss, once it has begun."""
        # The adaptive weight is relative to the gradient of `reconstruction` by itself.
        if not self.config.relative_weights or self.config.adaptive_weight:
            return self.config.adversarial_weight
        return self._share * self._unit * self.config.adversarial_weight

    @property
    def _unit(self) -> float:
        """What relative weights multiply: the nats by which the NLL falls while the MSE falls to 1/e."""
        assert self.values is not None
        return 0.5 * self.values

    @property
    def _share(self) -> float:
        """What is left of the likelihood beside the perceptual loss, so that β need not grow with that."""
        return 1.0 / (1.0 + (self.config.perceptual_weight if self.perceptual_loss is not None else 0.0))


def halved_and_turned(maps: Any, turns: Any) -> Any:
    """Maps (N, H, W, C) of half the size, each value the mean of 2×2, and turned.

    Args:
        maps: H and W are even.
        turns: how many quarter turns, an int32 scalar; with H ≠ W how many half turns.
    """
    halved = ops.average_pool(maps, 2, 2)
    turned = [halved, ops.flip(halved, (1, 2))]
    if maps.shape[1] == maps.shape[2]:
        # Keras's rot90 turns maps that are not square wrongly, so flips do it all.
        mirrored = ops.transpose(halved, (0, 2, 1, 3))
        turned = [halved, ops.flip(mirrored, 1), turned[1], ops.flip(mirrored, 2)]
    return ops.take(ops.stack(turned), turns % len(turned), axis=0)


def iwae_loss(negative_log_weights: Any, draws: int) -> Any:
    """``-log 1/K Σ_k w_k``, the mean over images, of ``-log w_k = -log p(x|z_k) + log q(z_k|x) - log p(z_k)``.

    Args:
        negative_log_weights: (N · K,) nats, the K draws of an image one after another.
        draws: K. At 1 this is the negative ELBO; its bound of log p(x) gets tighter as K grows.

    Reference: Burda et al. 2016, "Importance Weighted Autoencoders", eq. 8.
    """
    log_weights = -ops.reshape(negative_log_weights, (-1, draws))
    return ops.mean(math.log(draws) - ops.logsumexp(log_weights, axis=1))


def adaptive_weight(reconstruction_gradient: Any, adversarial_gradient: Any) -> Any:
    """``‖∇ reconstruction‖ / (‖∇ adversarial‖ + ε)``, with respect to the decoder's last kernel, as a constant.

    Reference: Esser et al. 2021, "Taming Transformers for High-Resolution Image Synthesis" (VQGAN), eq. 7.
    """
    ratio = _length(reconstruction_gradient) / (_length(adversarial_gradient) + ADAPTIVE_EPSILON)
    return ops.stop_gradient(ops.clip(ratio, 0.0, ADAPTIVE_MAXIMUM))


def _length(gradient: Any) -> Any:
    """The Euclidean norm over all axes (`ops.norm` takes at most two)."""
    return ops.sqrt(ops.sum(ops.square(gradient)))
