"""The coupling layer of a normalising flow over vectors, with splines."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.latents.spline import inverse_spline, spline, spline_parameters


@keras.saving.register_keras_serializable(package="keras_vae")
class SplineCoupling(keras.layers.Layer):
    """Each of one half of the dimensions passes a spline, whose parameters a network makes of the other half.

    ``call`` maps z (N, L) to ``(u, log |det du/dz|)``, (N, L) and (N,); `inverse` maps u to z. A new layer is the
    identity. The first ``L // 2`` dimensions stay, or the last with ``flip``; with L = 1 none does, and the network
    sees zeros.

    Args:
        width: width of the network's two hidden layers.
        bins: bins of a spline, at least 2.
        bound: outside of (-bound, bound) a spline is the identity.
        flip: transform the first half instead of the last.

    Raises:
        ValueError: if ``bins`` is below 2.

    Reference: Durkan et al. 2019, "Neural Spline Flows", the coupling of which is Dinh et al. 2017's, "Density
    Estimation Using Real NVP".
    """

    def __init__(self, width: int = 64, bins: int = 8, bound: float = 5.0, flip: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        self.width = width
        self.bins = bins
        self.bound = bound
        self.flip = flip
        self.hidden = [keras.layers.Dense(width, "silu", dtype="float32", name=f"hidden_{i}") for i in range(2)]
        self.head: keras.layers.Layer | None = None

    def build(self, z_shape: Any) -> None:
        latent_dim = z_shape[-1]
        self.kept = latent_dim // 2
        self.table = (latent_dim - self.kept, spline_parameters(self.bins))
        for layer, size in zip(self.hidden, (max(self.kept, 1), self.width), strict=True):
            layer.build((None, size))
        # Zeros, so that the layer starts as the identity.
        self.head = keras.layers.Dense(
            int(np.prod(self.table)), kernel_initializer="zeros", dtype="float32", name="to_splines"
        )
        self.head.build((None, self.width))

    def call(self, z: Any) -> tuple[Any, Any]:
        kept, moved = self._split(z)
        moved, log_slopes = spline(moved, self._spline_parameters(kept), self.bound)
        return self._joined(kept, moved), ops.sum(log_slopes, axis=-1)

    def inverse(self, u: Any) -> Any:
        """The z that ``call`` maps to u."""
        kept, moved = self._split(u)
        return self._joined(kept, inverse_spline(moved, self._spline_parameters(kept), self.bound))

    def _spline_parameters(self, kept: Any) -> Any:
        assert self.head is not None
        # Empty inputs would give the network empty weights, which some operations refuse.
        features = kept if self.kept else ops.zeros((ops.shape(kept)[0], 1))
        for layer in self.hidden:
            features = layer(features)
        return ops.reshape(self.head(features), (-1, *self.table))

    def _split(self, values: Any) -> tuple[Any, Any]:
        values = ops.flip(values, axis=-1) if self.flip else values
        return values[:, : self.kept], values[:, self.kept :]

    def _joined(self, kept: Any, moved: Any) -> Any:
        values = ops.concatenate([kept, moved], axis=-1)
        return ops.flip(values, axis=-1) if self.flip else values

    def get_config(self) -> dict[str, Any]:
        config = {"width": self.width, "bins": self.bins, "bound": self.bound, "flip": self.flip}
        return {**super().get_config(), **config}
