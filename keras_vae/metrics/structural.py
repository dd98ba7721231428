"""Structural similarity.

Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity".
"""

import math
from typing import Any

import keras
from keras import ops

from keras_vae.layers.image_input import image_pair
from keras_vae.metrics.base import ImageMean

Tensor = Any  # a tensor of whichever Keras backend runs

# The paper's constants, section III-B and C; data range 1.
WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2


def ssim(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Structural similarity of each image, 1 for equal ones: (N, H, W, C) in [0, 1] to (N,) in [-1, 1].

    ``(2 μx μy + C1)(2 σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))`` under a Gaussian window (11 pixels, σ
    1.5) with population covariances, at every position where the window fits, averaged over positions and
    channels. In smaller images the window is the largest odd size that fits.

    Raises:
        InputError: as `mse`.
    """
    y_true, y_pred = image_pair("ssim", y_true, y_pred)
    y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
    smallest = min(side for side in (*y_true.shape[1:3], WINDOW) if side is not None)
    weights = _gaussian_window(smallest - 1 + smallest % 2)
    products = [y_true, y_pred, ops.square(y_true) + ops.square(y_pred), y_true * y_pred]
    mean_true, mean_pred, mean_squares, mean_product = ops.split(
        _blur(ops.concatenate(products, axis=0), weights), 4, axis=0
    )
    product_of_means = mean_true * mean_pred
    squares_of_means = ops.square(mean_true) + ops.square(mean_pred)
    covariance = mean_product - product_of_means
    variances = mean_squares - squares_of_means
    similarity = ((2.0 * product_of_means + C1) * (2.0 * covariance + C2)) / (
        (squares_of_means + C1) * (variances + C2)
    )
    return ops.mean(similarity, axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="keras_vae")
class SSIM(ImageMean):
    """Mean over images of `ssim`.

    Args:
        name: name of the metric. Default "ssim".
    """

    def __init__(self, name: str = "ssim") -> None:
        super().__init__(name=name)

    def per_image(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ssim(y_true, y_pred)


def _gaussian_window(size: int) -> list[float]:
    unscaled = [math.exp(-0.5 * ((position - size // 2) / SIGMA) ** 2) for position in range(size)]
    return [weight / sum(unscaled) for weight in unscaled]


def _blur(images: Tensor, weights: list[float]) -> Tensor:
    """Gaussian means wherever the window of n weights fits: (N, H, W, C) to (N, H - n + 1, W - n + 1, C).

    Computed as sums of shifted images. On GPUs, a convolution or a product with a banded matrix rounds its inputs to
    TF32, and ``E[x²] - E[x]²`` would lose variances of the size of C2 = 9e-4.
    """
    last = len(weights) - 1
    rows = sum(weight * images[:, i : (i - last) or None] for i, weight in enumerate(weights))
    return sum(weight * rows[:, :, i : (i - last) or None] for i, weight in enumerate(weights))
