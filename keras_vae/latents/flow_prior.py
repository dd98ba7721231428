"""A normalising flow as the prior."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.latents.coupling import SplineCoupling
from keras_vae.latents.invertible_linear import InvertibleLinear
from keras_vae.latents.vector_prior import VectorPrior
from keras_vae.layers.prior import LOG_TWO_PI


@keras.saving.register_keras_serializable(package="keras_vae")
class FlowPrior(VectorPrior):
    """``z = f(ε)`` with ``ε ~ N(0, I)`` and an invertible f, thus ``log p(z) = log N(f⁻¹(z)) + log |det df⁻¹/dz|``.

    The inverse f⁻¹ is a chain of `InvertibleLinear` and `SplineCoupling`, in turn. A new prior is N(0, I) itself, with
    its draws.

    Args:
        latent_shape: (L,).
        layers: number of couplings, each of which transforms the half that the one before kept.
        width: as for `SplineCoupling`.
        bins: as for `SplineCoupling`.

    Raises:
        InputError: if the latent is spatial.
        ValueError: if ``layers`` is below 1, or ``bins`` below 2.

    Reference: Durkan et al. 2019, "Neural Spline Flows".
    """

    def __init__(
        self, latent_shape: tuple[int, ...], layers: int = 6, width: int = 64, bins: int = 8, **kwargs: Any
    ) -> None:
        super().__init__(latent_shape, **kwargs)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        self.layers = layers
        self.width = width
        self.bins = bins
        self.linears = [InvertibleLinear(name=f"linear_{index}") for index in range(layers)]
        self.couplings = [
            SplineCoupling(width, bins, flip=index % 2 == 1, name=f"coupling_{index}") for index in range(layers)
        ]
        # Weights have the prior's name in their paths, by which optimizers choose.
        with keras.name_scope(self.name):
            for linear, coupling in zip(self.linears, self.couplings, strict=True):
                linear.build((None, self.latent_dim))
                coupling.build((None, self.latent_dim))

    def to_noise(self, z: Any) -> tuple[Any, Any]:
        """``(f⁻¹(z), log |det df⁻¹/dz|)`` of z (N, L): (N, L) and (N,)."""
        log_det = ops.zeros_like(z[:, 0])
        for linear, coupling in zip(self.linears, self.couplings, strict=True):
            z, linear_log_det = linear(z)
            z, coupling_log_det = coupling(z)
            log_det = log_det + linear_log_det + coupling_log_det
        return z, log_det

    def log_prob(self, z: Any) -> Any:
        noise, log_det = self.to_noise(ops.convert_to_tensor(z, "float32"))
        return log_det - 0.5 * ops.sum(ops.square(noise) + LOG_TWO_PI, axis=1)

    def draw(self, noise: Any) -> Any:
        """``f(noise)``."""
        for linear, coupling in zip(reversed(self.linears), reversed(self.couplings), strict=True):
            noise = linear.inverse(coupling.inverse(noise))
        return noise

    def start_from(self, images: Any, z: Any) -> None:
        """Bring the draws to mean 0 and variance 1 in each dimension, before the first coupling."""
        z = ops.convert_to_numpy(z)
        self.linears[0].set_scale(z.mean(axis=0), z.std(axis=0).clip(1e-3, 1e3))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layers": self.layers, "width": self.width, "bins": self.bins}
