"""The encoder of an `AutoencoderKL`: images to the mean and log-variance of every position of a spatial latent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vae.latents import GaussianBottleneck
from keras_vae.latents.bottleneck import LOG_VAR_MAX, LOG_VAR_MIN
from keras_vae.layers import DownBlock, Downsampling2D
from keras_vae.layers.image_input import unit_range
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.kl_part import KLPart
from keras_vae.models.part import TakesImages
from keras_vae.models.pyramid import LATENT_DTYPE
from keras_vae.sections import shows_fields_of


@keras.saving.register_keras_serializable(package="keras_vae")
class KLDownBlock(DownBlock):
    """A `DownBlock` that halves the resolution by `Downsampling2D`: (N, H, W, C) → (N, ⌊H/2⌋, ⌊W/2⌋, filters)."""

    def make_resampling(self) -> keras.layers.Layer | None:
        return Downsampling2D(self.filters, dtype=self.dtype_policy, name="downsample") if self.downsample else None


@keras.saving.register_keras_serializable(package="keras_vae")
class KLEncoder(TakesImages, KLPart):
    """Stem → a `KLDownBlock` for each width → `MidBlock` → mean and log-variance.

    Takes images (N, H, W, C), floats in [0, 1] or uint8. Returns ``mean`` and ``log_var``, each float32 (N, h, w,
    latent_channels); ``log_var`` is clipped to [-30, 20].

    Args:
        heads: ("mean", "log_var"), the features of a Gaussian bottleneck.
        **kwargs: fields of `KLArchitecture`; and ``name`` and ``dtype``.

    Raises:
        ValueError: when a field is out of range, for other heads, or when images have the wrong shape or dtype.

    Reference: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", appendix G.
    """

    @shows_fields_of(KLArchitecture)
    def __init__(self, *, heads: Sequence[str] = GaussianBottleneck.heads, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if tuple(heads) != GaussianBottleneck.heads:
            raise ValueError(f"KLEncoder ends in {', '.join(GaussianBottleneck.heads)}, not in {', '.join(heads)}")
        architecture = self.architecture
        widths = architecture.block_out_channels
        self.stem = self.convolution(widths[0], "stem")
        self.down_blocks = [
            KLDownBlock(
                width,
                architecture.layers_per_block,
                downsample=level < len(widths) - 1,
                **self.block_options,
                name=f"down_{level}",
            )
            for level, width in enumerate(widths)
        ]
        size = 2 * architecture.latent_channels
        self.to_posterior = self.convolution(size, "mean_and_log_var", dtype=LATENT_DTYPE)
        self.quant_conv = (
            self.convolution(size, "quant_conv", size=1, dtype=LATENT_DTYPE) if architecture.use_quant_conv else None
        )
        self.build((None, *self.image_shape))

    @property
    def levels(self) -> list[keras.layers.Layer]:
        """The blocks in the order of computation."""
        return [*self.down_blocks, self.mid_block]

    @property
    def tail(self) -> list[keras.layers.Layer]:
        """The layers after the blocks, in the order of computation."""
        last = [] if self.quant_conv is None else [self.quant_conv]
        return [self.norm, self.to_posterior, *last]

    def build(self, images_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        shape: Any = (None, *self.geometry.padded, self.image_shape[-1])
        for layer in (self.stem, *self.levels, *self.tail):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        images = unit_range(images)  # on JAX, Keras's predict() calls this method directly
        hidden = 2.0 * self.geometry_of(*images.shape[1:3]).pad(images) - 1.0
        for layer in (self.stem, *self.levels, *self.tail):
            hidden = layer(hidden)
        mean, log_var = ops.split(hidden, 2, axis=-1)
        return mean, ops.clip(log_var, LOG_VAR_MIN, LOG_VAR_MAX)

    def compute_output_shape(self, images_shape: Any, labels_shape: Any = None) -> Any:
        return ((images_shape[0], *self.latent_shape),) * 2
