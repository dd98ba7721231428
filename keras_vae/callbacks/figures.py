"""Figures that a training step cannot report itself: its speed and the learning rates."""

from __future__ import annotations

import time
from typing import Any

import keras

from keras_vae.training.trainer import VAETrainer

IMAGES_PER_SECOND = "images_per_second"


class StepFigures(keras.callbacks.Callback):
    """Adds ``images_per_second``, ``learning_rate`` and ``discriminator_learning_rate`` to each epoch's logs.

    The speed counts training steps only. It leaves out the first call of the process, which compiles, so that a first
    epoch with a single call has no speed. The learning rates are those that the schedules have reached.

    Args:
        batch_size: images in a step.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self._is_compiled = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._timed_from = self._timed_to = time.perf_counter()
        self._first_batch = self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._timed_to = time.perf_counter()
        self._last_batch = batch
        if not self._is_compiled:
            self._is_compiled = True
            self._timed_from, self._first_batch = self._timed_to, batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        steps = self._last_batch - self._first_batch
        if steps:
            logs[IMAGES_PER_SECOND] = steps * self.batch_size / (self._timed_to - self._timed_from)
        logs.update(learning_rates(self.model))


def learning_rates(trainer: VAETrainer) -> dict[str, float]:
    """``learning_rate`` and, with a discriminator, ``discriminator_learning_rate``, both of the next step."""
    rates = {"learning_rate": float(trainer.optimizer.learning_rate)}
    if trainer.discriminator is not None:
        rates["discriminator_learning_rate"] = float(trainer.discriminator_optimizer.learning_rate)
    return rates
