"""The base of learned priors over latent vectors."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers import Prior


class VectorPrior(Prior):
    """Base of the learned priors over latent vectors. A subclass defines `log_prob` and `draw`.

    Args:
        latent_shape: (L,).

    Raises:
        InputError: if the latent is spatial.
    """

    def __init__(self, latent_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(latent_shape, **kwargs)
        if len(self.latent_shape) != 1:
            raise InputError(
                f"{type(self).__name__} is a prior of latent vectors, but the latent's shape is {self.latent_shape}"
            )

    @property
    def latent_dim(self) -> int:
        """L."""
        return self.latent_shape[0]

    def fitting_loss(self, z: Any, labels: Any = None, seed: Any = None) -> Any:
        """``-log p(z)`` in nats, the mean over z (N, L): a float32 scalar, which fits the prior to latents."""
        return -ops.mean(self.log_prob(z))

    def start_from(self, images: Any, z: Any) -> None:
        """Move to a start that suits the data; training of the prior alone calls this once.

        Args:
            images: (N, H, W, C), float32 in [0, 1], in random order.
            z: one draw of each image's posterior, float32 (N, L).
        """

    def add_table(self, shape: tuple[int, ...], name: str, initializer: Any = "zeros") -> Any:
        """A weight that stays float32 whichever layer it is used in."""
        return self.add_weight(shape=shape, initializer=initializer, dtype="float32", autocast=False, name=name)


def bounded(values: Any, bound: float) -> Any:
    """Values in (-bound, bound): the identity near 0, with a gradient everywhere."""
    return bound * ops.tanh(values / bound)
