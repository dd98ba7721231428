"""The base of the metrics: a mean over images that stays float32."""

from typing import Any

import keras

Tensor = Any  # a tensor of whichever Keras backend runs


class ImageMean(keras.metrics.Mean):
    """The mean of `per_image` over images; ``sample_weight`` is (N,), one weight for each image."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32")

    def per_image(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Images (N, H, W, C), floats in [0, 1] or uint8, to (N,) float32. A subclass defines it."""
        raise NotImplementedError

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> None:
        super().update_state(self.per_image(y_true, y_pred), sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}
