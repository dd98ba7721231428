"""Errors pixel by pixel: mean squared error and peak signal-to-noise ratio."""

import math
from typing import Any

import keras
from keras import ops

from keras_vae.layers.image_input import image_pair
from keras_vae.metrics.base import ImageMean

Tensor = Any  # a tensor of whichever Keras backend runs

MSE_FLOOR = 1e-10


def mse(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean squared error of each image over its pixels and channels: (N, H, W, C) to (N,) float32.

    Raises:
        InputError: when images are neither floats nor uint8 (which is divided by 255), or their shapes differ.
    """
    y_true, y_pred = image_pair("mse", y_true, y_pred)
    difference = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    return ops.mean(ops.square(difference), axis=(1, 2, 3))


def psnr(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB: ``-10 log10(mse)``, data range 1. (N, H, W, C) to (N,).

    The mean squared error counts as at least 1e-10, so that equal images have 100 dB instead of infinity.
    """
    return (-10.0 / math.log(10.0)) * ops.log(ops.maximum(mse(y_true, y_pred), MSE_FLOOR))


@keras.saving.register_keras_serializable(package="keras_vae")
class MSE(ImageMean):
    """Mean over images of `mse`.

    Args:
        name: name of the metric. Default "mse".
    """

    def __init__(self, name: str = "mse") -> None:
        super().__init__(name=name)

    def per_image(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return mse(y_true, y_pred)


@keras.saving.register_keras_serializable(package="keras_vae")
class PSNR(ImageMean):
    """Mean of `psnr` in dB over images. The PSNR of the mean error would be lower.

    Args:
        name: name of the metric. Default "psnr".
    """

    def __init__(self, name: str = "psnr") -> None:
        super().__init__(name=name)

    def per_image(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return psnr(y_true, y_pred)
