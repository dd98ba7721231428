"""The decoder: a latent vector to an image, with generative skips from every level to tokens of z."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.config import Architecture
from keras_vae.layers import UpBlock
from keras_vae.models.part import TakesLatents
from keras_vae.models.pyramid import LATENT_DTYPE, Pyramid
from keras_vae.sections import shows_fields_of


@keras.saving.register_keras_serializable(package="keras_vae")
class Decoder(TakesLatents, Pyramid):
    """Latent → mapping layers → `MidBlock` → an `UpBlock` for each width → image.

    Takes ``z`` (N, latent_dim), and for a conditional model integer labels (N,). Returns images (N, H, W, C),
    float32 in [0, 1]. There is no path from the encoder's features. Instead, every level attends by cross-attention to
    tokens made from z (*generative skips*), and to the token of the label. A spatial z is (N, h, w, c), or flat,
    (N, h·w·c); a z with another grid gives images of another size.

    Args:
        *args, **kwargs: fields of `keras_vae.config.Architecture`; image_shape, latent_dim and widths also by position.

    Raises:
        ValueError: when a field is out of range, when ``groups`` or ``num_heads`` does not divide a width (the message
            names both numbers), when ``latent_shape`` does not have the images' grid, or when z or labels have the
            wrong shape or dtype.

    To change the levels, set ``up_block_class`` and ``mid_block_class`` in a subclass.

    Reference: Dieng et al. 2019, "Avoiding Latent Variable Collapse with Generative Skip Models"; Karras et al. 2019,
    "A Style-Based Generator Architecture for Generative Adversarial Networks", section 2.
    """

    up_block_class: type[keras.layers.Layer] = UpBlock

    @shows_fields_of(Architecture)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        architecture, widths = self.architecture, self.widths
        has_context = architecture.generative_skips or self.num_classes is not None
        policy = self.dtype_policy
        last = len(widths) - 1
        grid = self.geometry.grid(last)
        self.stem: keras.layers.Layer
        self.bottleneck: keras.layers.Layer | None
        if self.is_spatial:
            self.stem = keras.layers.Conv2D(widths[-1], 3, padding="same", dtype=LATENT_DTYPE, name="stem")
            self.bottleneck = None
        else:
            self.stem = keras.layers.Dense(
                grid[0] * grid[1] * architecture.bottleneck_width, dtype=LATENT_DTYPE, name="stem"
            )
            self.bottleneck = keras.layers.Conv2D(widths[-1], 1, dtype=policy, name="bottleneck")
        token_size = widths[-1] * (1 if self.is_spatial else architecture.context_tokens)
        self.latent_tokens = (
            keras.layers.Dense(token_size, dtype=LATENT_DTYPE, name="latent_tokens")
            if architecture.generative_skips
            else None
        )
        self.mid_block = self.make_level(self.mid_block_class, last, has_context=has_context, name="mid")
        self.up_blocks = [
            self.make_level(self.up_block_class, level, has_context=has_context, upsample=level > 0, name=f"up_{level}")
            for level in reversed(range(len(widths)))
        ]
        self.unstem = (
            keras.layers.Conv2DTranspose(
                architecture.output_width,
                4,
                strides=2,
                padding="same",
                activation="silu",
                dtype=policy,
                name="unstem",
            )
            if architecture.stem_stride == 2
            else None
        )
        # Images are float32 under every policy: near 1, bfloat16 cannot tell 256 grey levels apart.
        self.to_image = keras.layers.Conv2D(
            self.image_shape[-1], 3, padding="same", activation="sigmoid", dtype="float32", name="to_image"
        )
        self.build((None, *self.latent_shape))

    @property
    def levels(self) -> list[keras.layers.Layer]:
        """The blocks in the order of computation."""
        return [self.mid_block, *self.up_blocks]

    def build(self, z_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        width = self.widths[-1]
        grid = self.geometry.grid(len(self.widths) - 1)
        size = self.build_mapping(self.latent_shape[-1])
        mapped_shape = (None, *self.latent_shape[:-1], size)
        self.stem.build(mapped_shape)
        tokens = 0
        if self.latent_tokens is not None:
            self.latent_tokens.build(mapped_shape)
            tokens += grid[0] * grid[1] if self.is_spatial else self.architecture.context_tokens
        if self.label_token is not None:
            self.label_token.build((None,))
            tokens += 1
        context_shape = (None, tokens, width) if tokens else None
        if self.bottleneck is not None:
            self.bottleneck.build((None, *grid, self.architecture.bottleneck_width))
        shape = (None, *grid, width)
        for block in self.levels:
            block.build(shape, context_shape)
            shape = block.compute_output_shape(shape)
        self.norm.build(shape)
        if self.unstem is not None:
            self.unstem.build(shape)
            shape = self.unstem.compute_output_shape(shape)
        self.to_image.build(shape)

    def _context(self, mapped: Any, labels: Any) -> Any:
        """Tokens (N, T, D) of the mapped z and the label; None if the decoder attends to neither."""
        tokens = []
        if self.latent_tokens is not None:
            count = mapped.shape[1] * mapped.shape[2] if self.is_spatial else self.architecture.context_tokens
            tokens.append(ops.reshape(self.latent_tokens(mapped), (-1, count, self.widths[-1])))
        if self.label_token is not None:
            tokens.append(self.label_tokens(labels))
        return ops.concatenate(tokens, axis=1) if tokens else None

    def call(self, z: Any, labels: Any = None) -> Any:
        mapped = self.map(self.unflattened(z))
        context = self._context(mapped, labels)
        hidden = self.stem(mapped)
        if self.bottleneck is not None:
            grid = self.geometry.grid(len(self.widths) - 1)
            hidden = self.bottleneck(ops.reshape(hidden, (-1, *grid, self.architecture.bottleneck_width)))
        for block in self.levels:
            hidden = block(hidden, context)
        hidden = self.norm(hidden)
        if self.unstem is not None:
            hidden = self.unstem(hidden)
        images = self.to_image(hidden)
        # With another grid, the decoder does not know how much of the images is padding.
        return self.geometry.crop(images) if tuple(images.shape[1:3]) == self.geometry.padded else images

    def compute_output_shape(self, z_shape: Any, labels_shape: Any = None) -> Any:
        if not self.is_spatial or len(z_shape) == 2 or tuple(z_shape[1:]) == self.latent_shape:
            return (z_shape[0], *self.image_shape)
        factor = self.geometry.factor
        return (z_shape[0], z_shape[1] * factor, z_shape[2] * factor, self.image_shape[-1])
