"""LPIPS: the perceptual distance of two images, from their VGG16 features (Zhang et al. 2018)."""

import os
from typing import Any

import keras
from keras import ops

from keras_vae.losses.base import ImageLoss
from keras_vae.losses.vgg16 import Array, VGG16Features, read_heads

Tensor = Any  # a tensor of whichever Keras backend runs


@keras.saving.register_keras_serializable(package="keras_vae")
class LPIPS(ImageLoss):
    """LPIPS v0.1 with VGG16: images (N, H, W, C), floats in [0, 1] or uint8, C of 1 or 3, to distances (N,) float32.

    ``Σ_taps mean_positions Σ_channels w (f(y_true)/‖f(y_true)‖ - f(y_pred)/‖f(y_pred)‖)²``; 0 for equal
    images. The published distance has five taps. The bundled weights have the first three, which are enough for small
    images. ``y_true`` gets no gradient.

    The network is not part of a model that holds this loss: its weights are neither trained nor saved with the model,
    and the config names their source. In distributed training, create the loss in the scope of the strategy, and never
    inside a ``tf.function``.

    Args:
        weights: "bundled", the path of an ``.npz`` with the same arrays, or "imagenet" (Keras Applications'
            VGG16 with equal weights for all channels, not the published distance), as in `VGG16Features`.
        taps: blocks of VGG16 to compare at, 1 to 5; "bundled" has 3. Default 3.
        reduction: how Keras reduces over images. Default "sum_over_batch_size", the mean; None returns each image's
            distance. `keras_vae.VAETrainer` takes either, with the same result.
        name: name of the loss.
        dtype: policy of the convolutions ("mixed_bfloat16" is the fast one on CPUs that have it);
            normalisation and sums stay in float32. Default: the global policy.

    Raises:
        InputError: as `VGG16Features` does.

    Reference: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
        eq. 1.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = "bundled",
        taps: int = 3,
        reduction: str | None = "sum_over_batch_size",
        name: str = "lpips",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self._network = _Network(VGG16Features(weights, taps, dtype), read_heads(weights, taps))

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        # Two passes instead of one over both: the real images need no backward pass.
        return self.distance(self.features(ops.stop_gradient(ops.convert_to_tensor(y_true))), self.features(y_pred))

    def features(self, images: Tensor) -> list[Tensor]:
        """The network's activations at each tap, the i-th (N, H // 2^i, W // 2^i, C_i), in the compute dtype."""
        return self._network.features(images)

    def feature_shapes(self, image_shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """The (h, w, C) of each of `features` for images (H, W, C)."""
        shapes = self._network.features.compute_output_shape((None, *image_shape))
        return [(height, width, channels) for _, height, width, channels in shapes]

    def distance(self, features_true: list[Tensor], features_pred: list[Tensor]) -> Tensor:
        """The result of `call`, (N,) float32, from the images' `features`."""
        return lpips_distance(features_true, features_pred, self._network.heads)

    def get_config(self) -> dict[str, Any]:
        features = self._network.features
        return {
            **super().get_config(),
            "weights": features.weights_source,
            "taps": features.taps,
            "dtype": features.dtype_policy.name,
        }


def lpips_distance(features_true: list[Tensor], features_pred: list[Tensor], heads: list[Array]) -> Tensor:
    """LPIPS from two lists of activations (N, H_i, W_i, C_i) with channel weights (C_i,): (N,) float32."""
    total: Tensor = 0.0
    for true, pred, head in zip(features_true, features_pred, heads, strict=True):
        distance = _distance_of_positions(true, pred, head)
        total = total + ops.mean(ops.reshape(distance, (ops.shape(pred)[0], -1)), axis=1)
    return total


def lpips_maps(features_true: list[Tensor], features_pred: list[Tensor], heads: list[Array]) -> list[Tensor]:
    """`lpips_distance` before its mean over positions: (N, H_i, W_i) float32 of each tap; H_i and W_i are known."""
    return [
        ops.reshape(_distance_of_positions(true, pred, head), (-1, *pred.shape[1:3]))
        for true, pred, head in zip(features_true, features_pred, heads, strict=True)
    ]


def _distance_of_positions(true: Tensor, pred: Tensor, head: Array) -> Tensor:
    """(N · H · W, 1). One row for each position: a sum over channels is a product with a column, fastest on CPU."""
    return ops.matmul(ops.square(_unit_rows(pred) - _unit_rows(true)), head[:, None])


class _Network:
    """Hides the extractor from Keras, which saves every layer that it finds among a model's attributes."""

    def __init__(self, features: VGG16Features, heads: list[Array]) -> None:
        self.features = features
        self.heads = heads


def _unit_rows(features: Tensor) -> Tensor:
    channels = features.shape[-1]
    rows = ops.cast(ops.reshape(features, (-1, channels)), "float32")
    squared_norm = ops.matmul(ops.square(rows), ops.ones((channels, 1), dtype="float32"))
    # LPIPS adds 1e-10 to the norm. The 1e-20 under the root, far below it, keeps the gradient finite when all features
    # are zero. One division for each row: dividing each element adds three operations to the gradient.
    return rows * (1.0 / (ops.sqrt(squared_norm + 1e-20) + 1e-10))
