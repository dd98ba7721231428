"""The base of Keras losses of images."""

from typing import Any

import keras

from keras_vae.layers.image_input import image_pair

Tensor = Any  # a tensor of whichever Keras backend runs


class ImageLoss(keras.losses.Loss):
    """A loss of images (N, H, W, C), floats in [0, 1] or uint8. A subclass defines `call`, which returns (N,).

    Raises:
        InputError: when it is called on anything else, or on images with different shapes.
    """

    # Scaled here, because Keras casts uint8 to floats before `call`.
    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        return super().__call__(*image_pair(type(self).__name__, y_true, y_pred), sample_weight=sample_weight)
