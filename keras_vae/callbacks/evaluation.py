"""Evaluation on training images, made exactly as on test images, so that the two can be compared."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# The training step measures these through a sampled z, and while the weights change. An evaluation replaces them.
IMAGE_METRICS = ("mse", "psnr", "ssim", "lpips")


class TrainEvaluation(keras.callbacks.Callback):
    """After each epoch, replaces ``mse psnr ssim lpips`` in the logs by an evaluation on ``batches``.

    The LPIPS that the training step minimised stays, as ``perceptual``.
    """

    def __init__(self, batches: tf.data.Dataset) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        evaluated = self.model.evaluate(self.batches, verbose=0, return_dict=True, callbacks=[])
        if logs is None:
            return
        if "lpips" in logs:
            logs["perceptual"] = logs["lpips"]
        logs.update({name: evaluated[name] for name in IMAGE_METRICS if name in evaluated})
