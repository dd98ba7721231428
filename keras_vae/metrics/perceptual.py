"""LPIPS as a metric: `keras_vae.losses.LPIPS`, averaged over images."""

import os
from typing import Any

import keras

from keras_vae.losses import perceptual
from keras_vae.metrics.base import ImageMean

Tensor = Any  # a tensor of whichever Keras backend runs


# Keras finds a class by this name in a saved model, and "keras_vae>LPIPS" is the loss.
@keras.saving.register_keras_serializable(package="keras_vae", name="LPIPSMetric")
class LPIPS(ImageMean):
    """Mean over images of the LPIPS distance; 0 for equal images.

    The weights of the network are not state of the metric: they are neither saved nor reset with it.

    Args:
        weights: as `keras_vae.losses.LPIPS`. Default "bundled".
        taps: as `keras_vae.losses.LPIPS`. Default 3; report them with a figure, since the published distance has 5.
        name: name of the metric. Default "lpips".
        dtype: policy of the convolutions. Default "float32", so that figures do not depend on the policy of the
            training.

    Raises:
        InputError: as `keras_vae.losses.LPIPS`.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] = "bundled",
        taps: int = 3,
        name: str = "lpips",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(name=name)
        self._distance = perceptual.LPIPS(weights, taps, reduction=None, dtype=dtype)

    def per_image(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self._distance(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        config = self._distance.get_config()
        return {**super().get_config(), **{key: config[key] for key in ("weights", "taps", "dtype")}}
