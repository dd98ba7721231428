"""The base of the encoder and the decoder of an `AutoencoderKL`."""

from __future__ import annotations

from typing import Any

import keras

from keras_vae.errors import InputError
from keras_vae.layers import GroupNorm, MidBlock
from keras_vae.models.geometry import Geometry
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.part import Part

EPSILON = 1e-6
"""What the published models add to the variance in every normalisation."""


class KLPart(Part):
    """Base of `KLEncoder` and `KLDecoder`. Both take every field of `KLArchitecture`."""

    architecture: KLArchitecture

    def __init__(self, **kwargs: Any) -> None:
        architecture, kwargs = KLArchitecture.taken_from(kwargs)
        # No autocast, so that z is not rounded. Every layer casts its own input.
        super().__init__(autocast=False, **kwargs)
        self.architecture = architecture
        self.geometry = architecture.geometry
        self.mid_block = MidBlock(
            architecture.block_out_channels[-1],
            self_attention=architecture.mid_block_add_attention,
            num_heads=1,
            **self.block_options,
            name="mid",
        )
        self.norm = GroupNorm(
            architecture.norm_num_groups, EPSILON, activation="silu", dtype=self.dtype_policy, name="norm"
        )

    @property
    def block_options(self) -> dict[str, Any]:
        """What every block takes."""
        return {"groups": self.architecture.norm_num_groups, "epsilon": EPSILON, "dtype": self.dtype_policy}

    def convolution(self, filters: int, name: str, *, size: int = 3, dtype: Any = None) -> keras.layers.Conv2D:
        """A convolution with stride 1 that keeps the resolution, by default in the part's own policy."""
        return keras.layers.Conv2D(filters, size, padding="same", dtype=dtype or self.dtype_policy, name=name)

    def geometry_of(self, height: int, width: int) -> Geometry:
        """The geometry of images of that size.

        Raises:
            InputError: when nothing is left of a side without padding.
        """
        if (height, width) == (self.geometry.height, self.geometry.width):
            return self.geometry
        factor, sides = self.geometry.factor, (height, width)
        if self.architecture.padding == "none":
            sides = (height - height % factor, width - width % factor)
            if not all(sides):
                raise InputError(f"images without padding must be at least {factor} pixels wide and high")
        return Geometry(*sides, levels=self.geometry.levels, stem_stride=1)
