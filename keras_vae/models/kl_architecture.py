"""What the encoder and the decoder of an `AutoencoderKL` are made of, under the names of the library diffusers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from keras_vae.errors import InputError
from keras_vae.models.geometry import Geometry
from keras_vae.sections import Section

PADDINGS = ("zeros", "none")


def _field(default: Any, **bounds: Any) -> Any:
    return dataclasses.field(default=default, metadata=bounds)


@dataclasses.dataclass(frozen=True)
class KLArchitecture(Section):
    """The arguments of `AutoencoderKL`, `KLEncoder` and `KLDecoder`. The defaults are those of Stable Diffusion 1.

    Args:
        image_shape: (H, W, C), any H and W.
        block_out_channels: widths of the levels, finest first; every level but the last halves the resolution.
        layers_per_block: residual blocks of a level of the encoder; one of the decoder has one more.
        latent_channels: channels of the latent.
        norm_num_groups: groups of every normalisation; must divide the widths.
        mid_block_add_attention: whether the middle of encoder and decoder has self-attention.
        use_quant_conv: whether a 1×1 convolution follows the encoder.
        use_post_quant_conv: whether a 1×1 convolution precedes the decoder.
        scaling_factor, shift_factor: a diffusion model over the latents z works on ``(z - shift) · scaling``. The
            encoder and the decoder do not apply them.
        force_upcast: compute in float32 where the policy is mixed_float16, whose range the activations exceed.
        in_channels, out_channels: channels of images and reconstructions; both are those of ``image_shape``.
        padding: what is done with sides that the levels do not halve to whole numbers. "zeros" pads images with black
            and crops reconstructions, which so have the images' size. "none" drops the remainder at every level, as
            diffusers does; reconstructions are then smaller.

    Raises:
        InputError: when a value has the wrong type or is out of range; the message names the field.
    """

    image_shape: tuple[int, int, int] = _field((512, 512, 3), minimum=1)
    block_out_channels: tuple[int, ...] = _field((128, 256, 512, 512), minimum=1)
    layers_per_block: int = _field(2, minimum=1)
    latent_channels: int = _field(4, minimum=1)
    norm_num_groups: int = _field(32, minimum=1)
    mid_block_add_attention: bool = _field(True)
    use_quant_conv: bool = _field(True)
    use_post_quant_conv: bool = _field(True)
    scaling_factor: float = _field(0.18215, above=0)
    shift_factor: float = _field(0.0)
    force_upcast: bool = _field(True)
    in_channels: int | None = _field(None, minimum=1)
    out_channels: int | None = _field(None, minimum=1)
    padding: str = _field("zeros", choices=PADDINGS)

    @staticmethod
    def shown_name(name: str) -> str:
        """The name itself: users know it from the file config.json."""
        return name

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) not in (None, self.image_shape[-1]):
                raise InputError(
                    f"{name} must be the {self.image_shape[-1]} channels of image_shape, got {getattr(self, name)}"
                )
            object.__setattr__(self, name, self.image_shape[-1])
        for width in self.block_out_channels:
            if width % self.norm_num_groups:
                raise InputError(
                    f"norm_num_groups must divide block_out_channels, got {self.norm_num_groups} and {width}"
                )
        remainders = [side % self.geometry.factor for side in self.image_shape[:2]]
        if self.padding == "none" and any(remainders):
            raise InputError(
                f"image_shape must have sides that are multiples of {self.geometry.factor} where padding is none, got "
                f"{self.image_shape[0]}×{self.image_shape[1]}"
            )

    @property
    def geometry(self) -> Geometry:
        """That of images of ``image_shape``."""
        height, width, _ = self.image_shape
        return Geometry(height, width, levels=len(self.block_out_channels), stem_stride=1)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(h, w, latent_channels)."""
        return (*self.geometry.grid(len(self.block_out_channels) - 1), self.latent_channels)

    @property
    def latent_dim(self) -> int:
        """The number of values of a latent."""
        return math.prod(self.latent_shape)

    @property
    def num_classes(self) -> None:
        """None: there are no conditional models of this kind."""
