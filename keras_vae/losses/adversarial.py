"""The game of decoder and discriminator on patch logits: three losses with the same two methods.

A positive logit means "real". Each method takes logits (N, …) and returns (N,) float32, the mean over the patches of
each image.
"""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError

Tensor = Any  # a tensor of whichever Keras backend runs


class AdversarialLoss(ABC):
    """Base of adversarial losses: each player minimises the result of its own method.

    ``threshold`` is the logit above which the discriminator considers an image real.
    """

    threshold = 0.0

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """The decoder's loss: logits (N, …) for decoded images to (N,) float32."""

    @abstractmethod
    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The discriminator's loss: logits (N, …) for N real and N decoded images to (N,) float32."""

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdversarialLoss":
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_vae")
class HingeGAN(AdversarialLoss):
    """``D: max(0, 1 - real) + max(0, 1 + fake)``, ``G: -fake``.

    No factor ½ on the discriminator (VQGAN's code has one).

    Reference: Lim & Ye 2017, "Geometric GAN"; Miyato et al. 2018, "Spectral Normalization for GANs", eqs. 16
        and 17.
    """

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        return _mean_per_image(-_float32(fake_logits))

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = _float32(real_logits), _float32(fake_logits)
        return _mean_per_image(ops.relu(1.0 - real)) + _mean_per_image(ops.relu(1.0 + fake))


@keras.saving.register_keras_serializable(package="keras_vae")
class LeastSquaresGAN(AdversarialLoss):
    """``D: ½ (real - 1)² + ½ fake²``, ``G: ½ (fake - 1)²``: the 0-1 coding.

    Reference: Mao et al. 2017, "Least Squares Generative Adversarial Networks", eq. 9.
    """

    threshold = 0.5

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        return 0.5 * _mean_per_image(ops.square(_float32(fake_logits) - 1.0))

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = _float32(real_logits), _float32(fake_logits)
        return 0.5 * (_mean_per_image(ops.square(real - 1.0)) + _mean_per_image(ops.square(fake)))


@keras.saving.register_keras_serializable(package="keras_vae")
class NonSaturatingGAN(AdversarialLoss):
    """``D: -log σ(real) - log(1 - σ(fake))``, ``G: -log σ(fake)``, in nats.

    Computed as ``-log σ(x) = softplus(-x)``, which neither overflows nor loses its gradient.

    Reference: Goodfellow et al. 2014, "Generative Adversarial Nets", section 3.
    """

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        return _mean_per_image(ops.softplus(-_float32(fake_logits)))

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real, fake = _float32(real_logits), _float32(fake_logits)
        return _mean_per_image(ops.softplus(-real)) + _mean_per_image(ops.softplus(fake))


ADVERSARIAL_LOSSES: dict[str, type[AdversarialLoss]] = {
    "hinge": HingeGAN,
    "least_squares": LeastSquaresGAN,
    "non_saturating": NonSaturatingGAN,
}


def get_adversarial_loss(name: str) -> AdversarialLoss:
    """The adversarial loss called "hinge", "least_squares" or "non_saturating".

    Raises:
        InputError: for any other name; the message lists the known ones.
    """
    if name not in ADVERSARIAL_LOSSES:
        raise InputError(f'adversarial loss must be one of {", ".join(ADVERSARIAL_LOSSES)}, got "{name}"')
    return ADVERSARIAL_LOSSES[name]()


def _float32(values: Tensor) -> Tensor:
    return ops.cast(values, "float32")


def _mean_per_image(values: Tensor) -> Tensor:
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))
