"""The network of a latent flow: a U-Net of the library's own blocks over a grid of latents."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.layers import DownBlock, MidBlock, UpBlock
from keras_vae.layers.normalization import GroupNorm

# Frequencies of the embedding of t: from one turn in 2π to a thousand.
FREQUENCIES = 32
LARGEST_FREQUENCY = 1000.0


@keras.saving.register_keras_serializable(package="keras_vae")
class VelocityField(keras.layers.Layer):
    """``v(x, t[, label])``: x (N, h, w, c), t (N,) in [0, 1], labels int32 (N,) → (N, h, w, c), float32.

    Stem → a `DownBlock` for each width → `MidBlock` → an `UpBlock` for each width → 3×3 convolution. The output of
    every level down is concatenated to the input of that level up (Ronneberger et al. 2015). t is embedded by sines and
    cosines and added before every block; the label is a token that every block attends to. The label ``num_classes``
    stands for none. A new field is 0 everywhere.

    Args:
        latent_shape: (h, w, c).
        widths: channels of each level, finest first; every level but the last halves the resolution.
        num_layers: residual blocks in a level.
        attention_resolution: maps with sides up to this have self-attention.
        num_heads: heads of every attention; must divide the widths.
        groups: groups of every normalisation; must divide the widths.
        num_classes: number of labels, None for a field without.
    """

    def __init__(
        self,
        latent_shape: tuple[int, int, int],
        widths: tuple[int, ...] = (96,),
        *,
        num_layers: int = 2,
        attention_resolution: int = 16,
        num_heads: int = 4,
        groups: int = 8,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.latent_shape = tuple(latent_shape)
        self.widths = tuple(widths)
        self.num_layers = num_layers
        self.attention_resolution = attention_resolution
        self.num_heads = num_heads
        self.groups = groups
        self.num_classes = num_classes
        policy, last = self.dtype_policy, len(self.widths) - 1
        self.stem = keras.layers.Conv2D(self.widths[0], 3, padding="same", dtype=policy, name="stem")
        self.time_layers = [
            keras.layers.Dense(self.widths[-1], activation="silu", dtype=policy, name=f"time_{index}")
            for index in range(2)
        ]
        self.label_token = (
            None
            if num_classes is None
            else keras.layers.Embedding(
                num_classes + 1,
                self.widths[-1],
                embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
                dtype=policy,
                name="label",
            )
        )
        self.down_blocks = [self._level(DownBlock, level, downsample=False) for level in range(last + 1)]
        self.down_samplings = [
            keras.layers.Conv2D(width, 4, strides=2, padding="same", dtype=policy, name=f"half_{level}")
            for level, width in enumerate(self.widths[:-1])
        ]
        self.mid_block = self._level(MidBlock, last)
        self.up_blocks = [self._level(UpBlock, level, upsample=False) for level in reversed(range(last + 1))]
        self.up_samplings = [
            keras.layers.Conv2DTranspose(width, 4, strides=2, padding="same", dtype=policy, name=f"double_{level}")
            for level, width in reversed(list(enumerate(self.widths[:-1])))
        ]
        # One for each block, in the order of computation.
        self.time_biases = [
            keras.layers.Dense(width, dtype=policy, name=f"time_bias_{index}")
            for index, width in enumerate(self._block_inputs())
        ]
        self.norm = GroupNorm(groups, activation="silu", dtype=policy, name="norm")
        self.head = keras.layers.Conv2D(
            self.latent_shape[-1], 3, padding="same", kernel_initializer="zeros", dtype="float32", name="head"
        )

    def _level(self, block_class: type[keras.layers.Layer], level: int, **kwargs: Any) -> keras.layers.Layer:
        sides = [math.ceil(side / 2**level) for side in self.latent_shape[:2]]
        return block_class(
            self.widths[level],
            self.num_layers,
            self_attention=max(sides) <= self.attention_resolution,
            cross_attention=self.num_classes is not None,
            num_heads=self.num_heads,
            groups=self.groups,
            dtype=self.dtype_policy,
            name=f"{block_class.__name__.lower()}_{level}",
            **kwargs,
        )

    def _block_inputs(self) -> list[int]:
        """The channels that enter each block, in the order of computation."""
        down = [self.widths[0], *self.widths[:-1]]
        return [*down, self.widths[-1], *(2 * width for width in reversed(self.widths))]

    def build(self, x_shape: Any, t_shape: Any = None, labels_shape: Any = None) -> None:
        width = self.widths[-1]
        for layer, size in zip(self.time_layers, (2 * FREQUENCIES, width), strict=True):
            layer.build((None, size))
        for layer in self.time_biases:
            layer.build((None, width))
        context_shape = None
        if self.label_token is not None:
            self.label_token.build((None,))
            context_shape = (None, 1, width)
        self.stem.build(x_shape)
        shape: Any = (*x_shape[:3], self.widths[0])
        skips = []
        for block, resampling in zip_longest(self.down_blocks, self.down_samplings):
            block.build(shape, context_shape)
            shape = block.compute_output_shape(shape)
            skips.append(shape)
            shape = _built(resampling, shape)
        self.mid_block.build(shape, context_shape)
        for block, resampling in zip_longest(self.up_blocks, self.up_samplings):
            skip = skips.pop()
            block.build((*skip[:3], 2 * skip[3]), context_shape)
            shape = _built(resampling, block.compute_output_shape(skip))
        self.norm.build(shape)
        self.head.build(shape)

    def call(self, x: Any, t: Any, labels: Any = None) -> Any:
        context = None if self.label_token is None else self.label_token(labels)[:, None, :]
        time = _waves(t)
        for layer in self.time_layers:
            time = layer(time)
        biases = iter(self.time_biases)

        def run(block: keras.layers.Layer, hidden: Any) -> Any:
            return block(hidden + next(biases)(time)[:, None, None, :], context)

        hidden = self.stem(x)
        skips = []
        for block, resampling in zip_longest(self.down_blocks, self.down_samplings):
            hidden = run(block, hidden)
            skips.append(hidden)
            hidden = hidden if resampling is None else resampling(hidden)
        hidden = run(self.mid_block, hidden)
        for block, resampling in zip_longest(self.up_blocks, self.up_samplings):
            skip = skips.pop()
            # Odd sides were rounded up on the way down.
            hidden = hidden[:, : skip.shape[1], : skip.shape[2]]
            hidden = run(block, ops.concatenate([hidden, skip], axis=-1))
            hidden = hidden if resampling is None else resampling(hidden)
        return self.head(self.norm(hidden))

    def compute_output_shape(self, x_shape: Any, t_shape: Any = None, labels_shape: Any = None) -> Any:
        return x_shape

    def get_config(self) -> dict[str, Any]:
        names = ("latent_shape", "widths", "num_layers", "attention_resolution", "num_heads", "groups", "num_classes")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _built(resampling: keras.layers.Layer | None, shape: Any) -> Any:
    """The shape after a resampling, which is built; None changes nothing."""
    if resampling is None:
        return shape
    resampling.build(shape)
    return resampling.compute_output_shape(shape)


def _waves(t: Any) -> Any:
    """t (N,) in [0, 1] as cosines and sines, (N, 2 · FREQUENCIES), as positions in Vaswani et al. 2017."""
    frequencies = np.geomspace(1.0, LARGEST_FREQUENCY, FREQUENCIES, dtype="float32")
    angles = ops.cast(t, "float32")[:, None] * frequencies
    return ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=-1)
