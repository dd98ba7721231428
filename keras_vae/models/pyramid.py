"""The base of encoder and decoder: levels of blocks, layers at the latent, the token of a label."""

from __future__ import annotations

from typing import Any

import keras

from keras_vae.config import Architecture
from keras_vae.layers import MidBlock
from keras_vae.layers.normalization import GroupNorm
from keras_vae.models.geometry import Geometry
from keras_vae.models.part import Part

# Layers at the latent compute in float32 under every policy. Near 1 the numbers of bfloat16 are 2⁻⁷ apart, which is the
# standard deviation of a posterior at latent size 2, and KL and exp(log_var) need the range of float32.
LATENT_DTYPE = "float32"


class Pyramid(Part):
    """Base of `Encoder` and `Decoder`. Both take every field of `keras_vae.config.Architecture`."""

    architecture: Architecture
    mid_block_class: type[keras.layers.Layer] = MidBlock

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        latent_dim: int = 2,
        widths: tuple[int, ...] = (32, 64),
        **kwargs: Any,
    ) -> None:
        architecture, kwargs = Architecture.taken_from(
            {"image_shape": image_shape, "latent_dim": latent_dim, "widths": widths, **kwargs}
        )
        # No autocast, so that z is not rounded. Every layer casts its own input.
        super().__init__(autocast=False, **kwargs)
        self.architecture = architecture
        height, width, _ = architecture.image_shape
        self.geometry = Geometry(height, width, levels=len(self.widths), stem_stride=architecture.stem_stride)
        if architecture.latent_shape is not None:
            self._check_grid(architecture.latent_shape[:2])
        self.norm = GroupNorm(architecture.groups, activation="silu", dtype=self.dtype_policy, name="norm")
        self.mapping = [
            keras.layers.Dense(
                architecture.mapping_width, activation="silu", dtype=LATENT_DTYPE, name=f"mapping_{index}"
            )
            for index in range(0 if self.is_spatial else architecture.mapping_layers)
        ]
        # As large as the tokens of z. With Keras's usual deviation, 0.03, attention would ignore the labels.
        self.label_token = (
            None
            if self.num_classes is None
            else keras.layers.Embedding(
                self.num_classes,
                self.widths[-1],
                embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
                dtype=self.dtype_policy,
            )
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return self.architecture.widths

    def _check_grid(self, found: tuple[int, ...]) -> None:
        grid = self.geometry.grid(len(self.widths) - 1)
        if found != grid:
            sides = [f"{height}×{width}" for height, width in (found, self.geometry.padded, grid)]
            raise ValueError(
                f"the latent is {sides[0]}, but images of {sides[1]} through {len(self.widths)} levels and a stem of "
                f"stride {self.architecture.stem_stride} give {sides[2]}; change the latent, widths or stem_stride"
            )

    def geometry_of(self, height: int, width: int) -> Geometry:
        """The geometry of images of that size; with a spatial latent it may differ from the trained one."""
        if (height, width) == (self.geometry.height, self.geometry.width) or not self.is_spatial:
            return self.geometry
        return Geometry(height, width, levels=len(self.widths), stem_stride=self.architecture.stem_stride)

    def make_level(
        self, block_class: type[keras.layers.Layer], level: int, *, has_context: bool, **kwargs: Any
    ) -> keras.layers.Layer:
        """A block with the width of ``level`` (0 is the finest), with self-attention if its map is small enough."""
        return block_class(
            self.widths[level],
            self.architecture.num_layers,
            self_attention=max(self.geometry.grid(level)) <= self.architecture.attention_resolution,
            cross_attention=has_context,
            num_heads=self.architecture.num_heads,
            groups=self.architecture.groups,
            dtype=self.dtype_policy,
            **kwargs,
        )

    def build_mapping(self, size: int) -> int:
        """Build the layers between features and latent for vectors of ``size``, and return their output size."""
        for layer in self.mapping:
            layer.build((None, size))
            size = self.architecture.mapping_width
        return size

    def map(self, vectors: Any) -> Any:
        """Vectors (N, D) or maps, through the mapping layers."""
        for layer in self.mapping:
            vectors = layer(vectors)
        return vectors

    def label_tokens(self, labels: Any) -> Any:
        """One context token for each of ``labels`` (N,): (N, 1, D)."""
        assert self.label_token is not None
        return self.label_token(labels)[:, None, :]
