"""The decoder of an `AutoencoderKL`: spatial latents to images, without a bound on the pixels."""

from __future__ import annotations

from typing import Any

import keras

from keras_vae.layers import UpBlock, Upsampling2D
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.kl_part import KLPart
from keras_vae.models.part import TakesLatents
from keras_vae.models.pyramid import LATENT_DTYPE
from keras_vae.sections import shows_fields_of


@keras.saving.register_keras_serializable(package="keras_vae")
class KLUpBlock(UpBlock):
    """An `UpBlock` that doubles the resolution by `Upsampling2D`: (N, H, W, C) → (N, 2H, 2W, filters)."""

    def make_resampling(self) -> keras.layers.Layer | None:
        return Upsampling2D(self.filters, dtype=self.dtype_policy, name="upsample") if self.upsample else None


@keras.saving.register_keras_serializable(package="keras_vae")
class KLDecoder(TakesLatents, KLPart):
    """Stem → `MidBlock` → a `KLUpBlock` for each width → image.

    Takes latents (N, h, w, latent_channels), or flat, (N, h·w·latent_channels). Returns images (N, H, W, C), float32;
    most pixels are in [0, 1], but none is clipped, so that each has a gradient. Latents with another grid give images
    of another size.

    Args:
        **kwargs: fields of `KLArchitecture`; and ``name`` and ``dtype``.

    Raises:
        ValueError: when a field is out of range, or when latents have the wrong shape or dtype.

    Reference: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", appendix G.
    """

    @shows_fields_of(KLArchitecture)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        architecture = self.architecture
        widths = architecture.block_out_channels
        self.post_quant_conv = (
            self.convolution(architecture.latent_channels, "post_quant_conv", size=1, dtype=LATENT_DTYPE)
            if architecture.use_post_quant_conv
            else None
        )
        self.stem = self.convolution(widths[-1], "stem", dtype=LATENT_DTYPE)
        self.up_blocks = [
            KLUpBlock(
                widths[level],
                architecture.layers_per_block + 1,
                upsample=level > 0,
                **self.block_options,
                name=f"up_{level}",
            )
            for level in reversed(range(len(widths)))
        ]
        # Images are float32 under every policy: near 1, bfloat16 cannot tell 256 grey levels apart.
        self.to_image = self.convolution(self.image_shape[-1], "to_image", dtype="float32")
        self.build((None, *self.latent_shape))

    @property
    def levels(self) -> list[keras.layers.Layer]:
        """The blocks in the order of computation."""
        return [self.mid_block, *self.up_blocks]

    @property
    def layers_in_order(self) -> list[keras.layers.Layer]:
        """All layers in the order of computation."""
        first = [] if self.post_quant_conv is None else [self.post_quant_conv]
        return [*first, self.stem, *self.levels, self.norm, self.to_image]

    def build(self, z_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        shape: Any = (None, *self.latent_shape)
        for layer in self.layers_in_order:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def call(self, z: Any, labels: Any = None) -> Any:
        hidden = self.unflattened(z)
        for layer in self.layers_in_order:
            hidden = layer(hidden)
        images = 0.5 * hidden + 0.5
        # With another grid, the decoder does not know how much of the images is padding.
        return self.geometry.crop(images) if tuple(images.shape[1:3]) == self.geometry.padded else images

    def compute_output_shape(self, z_shape: Any, labels_shape: Any = None) -> Any:
        if len(z_shape) == 2 or tuple(z_shape[1:]) == self.latent_shape:
            return (z_shape[0], *self.image_shape)
        factor = self.geometry.factor
        return (z_shape[0], z_shape[1] * factor, z_shape[2] * factor, self.image_shape[-1])
