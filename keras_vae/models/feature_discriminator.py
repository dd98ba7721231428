"""A discriminator of a frozen network's features instead of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers import SpectralConv2D
from keras_vae.layers.image_input import described, fits
from keras_vae.models.ready import ReadyModel

# The middle convolution halves maps that are larger than this.
_LARGE_SIDE = 8
# The share of the old running mean that each `FeatureDiscriminator.follow` keeps.
MOMENTUM = 0.98


@keras.saving.register_keras_serializable(package="keras_vae")
class FeatureDiscriminator(ReadyModel):
    """A small PatchGAN on each of a frozen network's feature maps: 1×1, 4×4, 4×4 spectrally normalised convolutions.

    Takes a list of maps, the i-th (N, h_i, w_i, C_i); returns the patch logits of all maps, (N, P), float32. Positive
    means real. The middle convolution halves maps with sides above 8. If a perceptual loss has computed the features
    already, this discriminator costs next to nothing, and it sees what a PatchGAN of its size takes long to learn.

    Each map is divided by a running root mean square of its values, which `follow` updates in training.

    Args:
        feature_shapes: (h, w, C) of each map.
        width: channels of the hidden layers.

    Reference: Sauer et al. 2021, "Projected GANs Converge Faster", section 3 (theirs mix the features at random first).
    """

    def __init__(
        self,
        feature_shapes: Sequence[tuple[int, int, int]],
        width: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.feature_shapes = [tuple(shape) for shape in feature_shapes]
        self.width = width
        self.mean_squares = [
            self.add_weight(
                shape=(), initializer="ones", trainable=False, autocast=False, name=f"map_{index}_mean_square"
            )
            for index in range(len(feature_shapes))
        ]
        self.heads = [self._head(index, max(shape[:2])) for index, shape in enumerate(self.feature_shapes)]
        self.build([(None, *shape) for shape in self.feature_shapes])

    def build(self, features_shape: Any) -> None:
        if self.built:
            return
        for shape, head in zip(self.feature_shapes, self.heads, strict=True):
            self._build_head(head, (None, *shape))

    def _head(self, index: int, side: int) -> list[keras.layers.Layer]:
        sizes = ((self.width, 1, 1), (self.width, 4, 2 if side > _LARGE_SIDE else 1), (1, 4, 1))
        return [
            SpectralConv2D(filters, kernel, stride, dtype=self.dtype_policy, name=f"map_{index}_conv_{place}")
            for place, (filters, kernel, stride) in enumerate(sizes)
        ]

    @staticmethod
    def _build_head(head: list[keras.layers.Layer], shape: Any) -> None:
        for conv in head:
            conv.build(shape)
            shape = conv.compute_output_shape(shape)

    @property
    def input_signature(self) -> list[Any]:
        maps = [
            keras.InputSpec(shape=(None, *shape), dtype="float32", name=f"map_{index}")
            for index, shape in enumerate(self.feature_shapes)
        ]
        return [maps]

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        expected = [(None, None, None, shape[-1]) for shape in self.feature_shapes]
        given = [tuple(each.shape) for each in features]
        if len(given) != len(expected) or not all(map(fits, given, expected)):
            wanted, found = (", ".join(map(described, shapes)) for shapes in (expected, given))
            raise InputError(f"{type(self).__name__}: features must have shapes {wanted}; got {found}")
        return super().__call__(features, *args, **kwargs)

    def call(self, features: Any, training: bool = False) -> Any:
        logits = []
        for hidden, mean_square, (*convs, to_logits) in zip(features, self.mean_squares, self.heads, strict=True):
            hidden = ops.cast(hidden, self.compute_dtype) * ops.cast(ops.rsqrt(mean_square), self.compute_dtype)
            for conv in convs:
                hidden = ops.leaky_relu(conv(hidden, training=training), 0.2)
            patches = to_logits(hidden, training=training)
            logits.append(ops.reshape(patches, (-1, patches.shape[1] * patches.shape[2])))
        return ops.cast(ops.concatenate(logits, axis=1), "float32")

    def compute_output_shape(self, features_shape: Any) -> Any:
        patches = 0
        for shape, head in zip(features_shape, self.heads, strict=True):
            for conv in head:
                shape = conv.compute_output_shape(shape)
            patches += shape[1] * shape[2]
        return (features_shape[0][0], patches)

    @staticmethod
    def mean_squares_of(features: Any) -> Any:
        """The mean square of each map's values, (maps,) float32; no gradient flows through it."""
        return ops.stack([ops.mean(ops.square(ops.stop_gradient(ops.cast(each, "float32")))) for each in features])

    def follow(self, mean_squares: Any) -> None:
        """Move the running means towards a training batch's `mean_squares_of`, (maps,), if those are finite."""
        for index, running in enumerate(self.mean_squares):
            before = ops.convert_to_tensor(running)
            moved = MOMENTUM * before + (1.0 - MOMENTUM) * mean_squares[index]
            running.assign(ops.where(ops.isfinite(moved), moved, before))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "feature_shapes": self.feature_shapes,
            "width": self.width,
        }
