"""What a training step cannot report of itself: its speed and its optimizers' learning rates."""

from __future__ import annotations

import time
from typing import Any

import keras

from keras_vae.training.trainer import VAETrainer

IMAGES_PER_SECOND = "images_per_second"


class StepFigures(keras.callbacks.Callback):
    """Adds ``images_per_second``, ``learning_rate`` and ``discriminator_learning_rate`` to each epoch's logs.

    The speed is of the training steps alone; the first call of the process, which compiles, is left out, so a first
    epoch of one call has none. The learning rates are those that the schedules have come to.

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
    """``learning_rate`` and, with a discriminator, ``discriminator_learning_rate``: those of the step to come."""
    rates = {"learning_rate": float(trainer.optimizer.learning_rate)}
    if trainer.discriminator is not None:
        rates["discriminator_learning_rate"] = float(trainer.discriminator_optimizer.learning_rate)
    return rates
