"""PatchGAN: a convolutional discriminator that judges patches instead of whole images."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.layers import SpectralConv2D
from keras_vae.layers.image_input import check_images, unit_range
from keras_vae.layers.normalization import GroupNorm
from keras_vae.models.ready import ReadyModel

NORMALIZATIONS = ("spectral", "batch", "group", "none")


@keras.saving.register_keras_serializable(package="keras_vae")
class PatchDiscriminator(ReadyModel):
    """4×4 convolutions with LeakyReLU(0.2), all but the last of stride 2, then one logit a position.

    Takes images (N, H, W, C), floats in [0, 1] or uint8; returns patch logits (N, h, w, 1), float32, where h and w are
    the sides over 2^(len(widths) - 1), rounded up. Positive means real.

    Args:
        image_shape: (H, W, C).
        widths: channels of the convolutions before the logits.
        normalization: "spectral" (on every kernel), "batch" or "group" (after every convolution but the first and the
            last), or "none".
        groups: groups of the group normalisation.

    Raises:
        ValueError: when ``normalization`` is unknown, when ``groups`` does not divide a width with group normalisation
            (the message names both numbers), or when images have the wrong shape or dtype.

    Reference: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2.2.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        widths: tuple[int, ...] = (32, 64, 64),
        *,
        normalization: str = "spectral",
        groups: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if normalization not in NORMALIZATIONS:
            known = ", ".join(NORMALIZATIONS)
            raise ValueError(f"normalization must be one of {known}, got {normalization!r}")
        height, width, channels = image_shape
        self.image_shape = (height, width, channels)
        self.widths = tuple(widths)
        self.normalization = normalization
        self.groups = groups
        strides = [2] * (len(widths) - 1) + [1]
        self.convs = [
            self._conv(width, stride, name=f"conv_{index}")
            for index, (width, stride) in enumerate(zip(widths, strides, strict=True))
        ]
        self.norms = [self._norm(name=f"norm_{index}") for index in range(1, len(widths))]
        self.to_logits = self._conv(1, 1, name="to_logits")
        self.build((None, *self.image_shape))

    def _conv(self, filters: int, stride: int, name: str) -> keras.layers.Layer:
        if self.normalization == "spectral":
            return SpectralConv2D(filters, 4, stride, dtype=self.dtype_policy, name=name)
        return keras.layers.Conv2D(filters, 4, stride, padding="same", dtype=self.dtype_policy, name=name)

    def _norm(self, name: str) -> keras.layers.Layer | None:
        if self.normalization == "batch":
            return keras.layers.BatchNormalization(dtype=self.dtype_policy, name=name)
        if self.normalization == "group":
            return GroupNorm(self.groups, dtype=self.dtype_policy, name=name)
        return None

    def build(self, images_shape: Any) -> None:
        if self.built:
            return
        shape = (None, *self.image_shape)
        for conv, norm in zip(self.convs, [None, *self.norms], strict=True):
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            if norm is not None:
                norm.build(shape)
        self.to_logits.build(shape)

    @property
    def input_signature(self) -> list[Any]:
        return [keras.InputSpec(shape=(None, *self.image_shape), dtype="float32", name="images")]

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> Any:
        check_images(type(self).__name__, images, (None, None, self.image_shape[-1]))
        return super().__call__(unit_range(images), *args, **kwargs)

    def call(self, images: Any, training: bool = False) -> Any:
        hidden = unit_range(images)  # on JAX, Keras's predict() calls this method directly
        for conv, norm in zip(self.convs, [None, *self.norms], strict=True):
            hidden = conv(hidden, training=training) if self.normalization == "spectral" else conv(hidden)
            if norm is not None:
                hidden = norm(hidden, training=training) if self.normalization == "batch" else norm(hidden)
            hidden = ops.leaky_relu(hidden, 0.2)
        return ops.cast(self.to_logits(hidden), "float32")

    def compute_output_shape(self, images_shape: Any) -> Any:
        scale = 2 ** (len(self.widths) - 1)
        return (images_shape[0], *(-(-side // scale) for side in images_shape[1:3]), 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_shape": self.image_shape,
            "widths": self.widths,
            "normalization": self.normalization,
            "groups": self.groups,
        }
