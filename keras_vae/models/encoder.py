"""The encoder: images to the mean and log-variance of a diagonal Gaussian posterior."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.layers import DownBlock
from keras_vae.layers.image_input import check_images, unit_range
from keras_vae.models.pyramid import LATENT_DTYPE, Pyramid

# Bounds of log σ², as in Rombach et al. 2022: beyond them, exp() leaves the range that float32 training can use.
LOG_VAR_MIN, LOG_VAR_MAX = -30.0, 20.0


@keras.saving.register_keras_serializable(package="keras_vae")
class Encoder(Pyramid):
    """Stem → a `DownBlock` for each width → `MidBlock` → mapping layers → posterior heads.

    Takes images (N, H, W, C), floats in [0, 1] or uint8, and for a conditional model integer labels (N,). Returns
    ``mean`` and ``log_var``, both float32 (N, latent_dim). If the down-samplings do not divide a side, it is padded
    with zeros.

    Args:
        image_shape: (H, W, C).
        latent_dim: size of the latent vector.
        widths: channels of each level, finest first; every level but the last halves the resolution.
        stem_stride: 2 starts at half the resolution (cheap), 1 at full resolution.
        num_layers: residual blocks in a level.
        attention_resolution: feature maps with sides up to this have self-attention; 0 for none.
        num_heads: heads of every attention; must divide the widths that attend.
        groups: groups of every normalisation; must divide the widths.
        num_classes: number of labels of a conditional model; every level then attends to the label's token.
        mapping_layers: dense layers (SiLU) between the features and the posterior's heads.
        mapping_width: width of those.
        bottleneck_width: channels of a 1×1 convolution that narrows the coarsest feature map before it becomes a
            vector; without it, a small model would have most of its weights there.
        latent_shape: (h, w, c) for a spatial latent with c channels on the coarsest grid, as in latent diffusion
            (Rombach et al. 2022). ``mean`` and ``log_var`` are then (N, h, w, c), there are no mapping layers,
            ``latent_dim`` is h·w·c, and images of other sizes give latents with other grids.

    Raises:
        ValueError: when ``groups`` or ``num_heads`` does not divide a width (the message names both numbers), when
            ``stem_stride`` is neither 1 nor 2, when ``latent_shape`` does not have the images' grid, or when images or
            labels have the wrong shape or dtype.

    To change the levels, set ``down_block_class`` and ``mid_block_class`` in a subclass.
    """

    down_block_class: type[keras.layers.Layer] = DownBlock

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        latent_dim: int = 2,
        widths: tuple[int, ...] = (32, 64),
        *,
        stem_stride: int = 2,
        num_layers: int = 1,
        attention_resolution: int = 7,
        num_heads: int = 2,
        groups: int = 8,
        num_classes: int | None = None,
        mapping_layers: int = 3,
        mapping_width: int = 128,
        bottleneck_width: int = 16,
        latent_shape: tuple[int, int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            image_shape,
            latent_dim,
            widths,
            stem_stride=stem_stride,
            num_layers=num_layers,
            attention_resolution=attention_resolution,
            num_heads=num_heads,
            groups=groups,
            num_classes=num_classes,
            mapping_layers=mapping_layers,
            mapping_width=mapping_width,
            bottleneck_width=bottleneck_width,
            latent_shape=latent_shape,
            **kwargs,
        )
        has_context = num_classes is not None
        last = len(widths) - 1
        stem_kernel = 4 if stem_stride == 2 else 3
        self.stem = keras.layers.Conv2D(
            widths[0], stem_kernel, strides=stem_stride, padding="same", dtype=self.dtype_policy, name="stem"
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
            else keras.layers.Conv2D(bottleneck_width, 1, dtype=self.dtype_policy, name="bottleneck")
        )
        self.mean_head, self.log_var_head = self._make_head("mean"), self._make_head("log_var")
        self.build((None, *self.image_shape))

    def _make_head(self, name: str) -> keras.layers.Layer:
        size = self.latent_shape[-1]
        if self.is_spatial:
            return keras.layers.Conv2D(size, 3, padding="same", dtype=LATENT_DTYPE, name=name)
        return keras.layers.Dense(size, dtype=LATENT_DTYPE, name=name)

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
            shape = (None, self.build_mapping(shape[1] * shape[2] * self.bottleneck_width))
        self.mean_head.build(shape)
        self.log_var_head.build(shape)

    @property
    def input_signature(self) -> list[Any]:
        images = keras.InputSpec(shape=(None, *self.image_shape), dtype="float32", name="images")
        return [images, *self.labels_signature]

    def checked(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Images as floats in [0, 1], and labels.

        Raises:
            InputError: when either has the wrong shape or dtype; the message names the expected and the given one.
        """
        owner, channels = type(self).__name__, self.image_shape[-1]
        check_images(owner, images, (None, None, channels) if self.is_spatial else self.image_shape)
        return unit_range(images), self.checked_labels(labels, images.shape[0])

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, images: Any, labels: Any = None, *args: Any, **kwargs: Any) -> Any:
        images, labels = self.checked(images, labels)
        return super().__call__(images, labels, *args, **kwargs)

    def call(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        images = unit_range(images)  # on JAX, Keras's predict() calls this method directly
        context = None if self.label_token is None else self.label_tokens(labels)
        hidden = self.stem(self.geometry_of(*images.shape[1:3]).pad(images))
        for block in self.levels:
            hidden = block(hidden, context)
        hidden = self.norm(hidden)
        if self.bottleneck is not None:
            hidden = self.bottleneck(hidden)
            hidden = self.map(ops.reshape(hidden, (-1, hidden.shape[1] * hidden.shape[2] * hidden.shape[3])))
        return self.mean_head(hidden), ops.clip(self.log_var_head(hidden), LOG_VAR_MIN, LOG_VAR_MAX)

    def compute_output_shape(self, images_shape: Any, labels_shape: Any = None) -> Any:
        shape = (images_shape[0], *self.latent_shape)
        return shape, shape
