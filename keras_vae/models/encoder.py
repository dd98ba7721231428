"""The encoder: images to the mean and log-variance of a diagonal Gaussian posterior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vae.config import Architecture
from keras_vae.latents import GaussianBottleneck
from keras_vae.latents.bottleneck import LOG_VAR_MAX, LOG_VAR_MIN
from keras_vae.layers import DownBlock
from keras_vae.layers.image_input import unit_range
from keras_vae.models.part import TakesImages
from keras_vae.models.pyramid import LATENT_DTYPE, Pyramid
from keras_vae.sections import shows_fields_of


@keras.saving.register_keras_serializable(package="keras_vae")
class Encoder(TakesImages, Pyramid):
    """Stem → a `DownBlock` for each width → `MidBlock` → mapping layers → posterior heads.

    Takes images (N, H, W, C), floats in [0, 1] or uint8, and for a conditional model integer labels (N,). Returns a
    tuple, for each head float32 (N, *latent_shape); by default these are the posterior's ``mean`` and ``log_var``. If
    the down-samplings do not divide a side, it is padded with zeros.

    Args:
        heads: names of the heads, which `keras_vae.latents.Bottleneck` explains. A head "log_var" is clipped to
            [-30, 20].
        *args, **kwargs: fields of `keras_vae.config.Architecture`; image_shape, latent_dim and widths also by position.

    Raises:
        ValueError: when a field is out of range, when ``groups`` or ``num_heads`` does not divide a width (the message
            names both numbers), when ``latent_shape`` does not have the images' grid, or when images or labels have
            the wrong shape or dtype.

    To change the levels, set ``down_block_class`` and ``mid_block_class`` in a subclass.
    """

    down_block_class: type[keras.layers.Layer] = DownBlock

    @shows_fields_of(Architecture)
    def __init__(self, *args: Any, heads: Sequence[str] = GaussianBottleneck.heads, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        architecture, widths = self.architecture, self.widths
        has_context = self.num_classes is not None
        last = len(widths) - 1
        stem_kernel = 4 if architecture.stem_stride == 2 else 3
        self.stem = keras.layers.Conv2D(
            widths[0],
            stem_kernel,
            strides=architecture.stem_stride,
            padding="same",
            dtype=self.dtype_policy,
            name="stem",
        )
        self.down_blocks = [
            self.make_level(
                self.down_block_class, level, has_context=has_context, downsample=level < last, name=f"down_{level}"
            )
            for level in range(len(widths))
        ]
        self.mid_block = self.make_level(self.mid_block_class, last, has_context=has_context, name="mid")
        self.bottleneck = (
            None
            if self.is_spatial
            else keras.layers.Conv2D(architecture.bottleneck_width, 1, dtype=self.dtype_policy, name="bottleneck")
        )
        self.head_names = tuple(heads)
        # As attributes, because Keras's files name them after those.
        for name in self.head_names:
            setattr(self, f"{name}_head", self._make_head(name))
        self.build((None, *self.image_shape))

    def _make_head(self, name: str) -> keras.layers.Layer:
        size = self.latent_shape[-1]
        if self.is_spatial:
            return keras.layers.Conv2D(size, 3, padding="same", dtype=LATENT_DTYPE, name=name)
        return keras.layers.Dense(size, dtype=LATENT_DTYPE, name=name)

    @property
    def heads(self) -> list[keras.layers.Layer]:
        """The last layers, one for each of ``head_names``."""
        return [getattr(self, f"{name}_head") for name in self.head_names]

    @property
    def levels(self) -> list[keras.layers.Layer]:
        """The blocks in the order of computation."""
        return [*self.down_blocks, self.mid_block]

    def build(self, images_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        context_shape = None
        if self.label_token is not None:
            self.label_token.build((None,))
            context_shape = (None, 1, self.widths[-1])
        shape: Any = (None, *self.geometry.padded, self.image_shape[-1])
        self.stem.build(shape)
        shape = self.stem.compute_output_shape(shape)
        for block in self.levels:
            block.build(shape, context_shape)
            shape = block.compute_output_shape(shape)
        self.norm.build(shape)
        if self.bottleneck is not None:
            self.bottleneck.build(shape)
            shape = (None, self.build_mapping(shape[1] * shape[2] * self.architecture.bottleneck_width))
        for head in self.heads:
            head.build(shape)

    def call(self, images: Any, labels: Any = None) -> tuple[Any, ...]:
        images = unit_range(images)  # on JAX, Keras's predict() calls this method directly
        context = None if self.label_token is None else self.label_tokens(labels)
        hidden = self.stem(self.geometry_of(*images.shape[1:3]).pad(images))
        for block in self.levels:
            hidden = block(hidden, context)
        hidden = self.norm(hidden)
        if self.bottleneck is not None:
            hidden = self.bottleneck(hidden)
            hidden = self.map(ops.reshape(hidden, (-1, hidden.shape[1] * hidden.shape[2] * hidden.shape[3])))
        features = {name: head(hidden) for name, head in zip(self.head_names, self.heads, strict=True)}
        if "log_var" in features:
            features["log_var"] = ops.clip(features["log_var"], LOG_VAR_MIN, LOG_VAR_MAX)
        return tuple(features.values())

    def compute_output_shape(self, images_shape: Any, labels_shape: Any = None) -> Any:
        return ((images_shape[0], *self.latent_shape),) * len(self.heads)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.head_names}
