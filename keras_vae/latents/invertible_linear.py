"""An invertible linear layer of a normalising flow over vectors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.latents.vector_prior import bounded

# The triangular factors' scales stay between exp(-8) and exp(8).
LOG_SCALE_BOUND = 8.0


@keras.saving.register_keras_serializable(package="keras_vae")
class InvertibleLinear(keras.layers.Layer):
    """``u = z R L + bias`` with an upper triangular R and a lower triangular L of diagonal 1: a learned permutation.

    ``call`` maps z (N, D) to ``(u, log |det du/dz|)``, (N, D) and (N,); `inverse` maps u to z. A new layer is the
    identity.

    Reference: Kingma & Dhariwal 2018, "Glow", section 3.2; Durkan et al. 2019, "Neural Spline Flows", section 3.2.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, z_shape: Any) -> None:
        size = z_shape[-1]
        # One square table holds both factors, on both sides of its diagonal.
        self.factors = self.add_weight(
            shape=(size, size), initializer="zeros", dtype="float32", autocast=False, name="factors"
        )
        self.log_scale = self.add_weight(
            shape=(size,), initializer="zeros", dtype="float32", autocast=False, name="log_scale"
        )
        self.bias = self.add_weight(shape=(size,), initializer="zeros", dtype="float32", autocast=False, name="bias")
        self.is_above = np.triu(np.ones((size, size), "float32"), 1)

    def call(self, z: Any) -> tuple[Any, Any]:
        upper, lower, log_scale = self._parts()
        u = ops.matmul(ops.matmul(z, upper), lower) + self.bias
        return u, ops.sum(log_scale) + ops.zeros_like(z[:, 0])

    def inverse(self, u: Any) -> Any:
        """The z that ``call`` maps to u."""
        upper, lower, _ = self._parts()
        columns = ops.transpose(u - self.bias)
        columns = ops.solve_triangular(ops.transpose(lower), columns, lower=False)
        return ops.transpose(ops.solve_triangular(ops.transpose(upper), columns, lower=True))

    def set_scale(self, mean: Any, deviation: Any) -> None:
        """Become ``u = (z - mean) / deviation``; both are (D,), and no logarithm of a deviation is beyond
        ±LOG_SCALE_BOUND."""
        self.factors.assign(np.zeros(self.factors.shape))
        self.log_scale.assign(-LOG_SCALE_BOUND * np.arctanh(np.log(deviation) / LOG_SCALE_BOUND))
        self.bias.assign(-mean / deviation)

    def _parts(self) -> tuple[Any, Any, Any]:
        """R, L, and the logarithm of R's diagonal."""
        log_scale = bounded(self.log_scale, LOG_SCALE_BOUND)
        upper = self.factors * self.is_above + ops.diag(ops.exp(log_scale))
        lower = self.factors * self.is_above.T + ops.eye(self.is_above.shape[0])
        return upper, lower, log_scale
