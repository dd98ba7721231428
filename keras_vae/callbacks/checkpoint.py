"""When a checkpoint is written: at intervals, when training is told to stop, and at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras

from keras_vae.callbacks.history import TEST_PREFIX
from keras_vae.callbacks.stopping import StopSignals, StopTogether
from keras_vae.errors import TrainingStoppedError
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.checkpoints import Position, save_checkpoint


class Checkpoints(keras.callbacks.Callback):
    """Writes checkpoints into ``folder``. It comes after all callbacks that write results of an epoch.

    Args:
        folder: where they go; None on a worker that leaves it to the chief.
        interval: when.
        stop: asked after each step whether to stop; None never stops.

    Raises, while training:
        TrainingStoppedError: if ``stop`` has received a signal; there is a checkpoint of that step.
    """

    def __init__(
        self,
        folder: Path | None,
        interval: CheckpointInterval | None = None,
        stop: StopSignals | StopTogether | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.interval = interval or CheckpointInterval()
        self.stop = stop or StopSignals()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._written_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        steps = batch + 1
        # The last step has no checkpoint of its own: the epoch's follows after the evaluation.
        if steps != self.params["steps"] and (self._is_late() or self.stop.received is not None):
            self._write(Position(self._epoch, steps))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        done = epoch + 1
        is_due = self.interval.epochs is not None and done % self.interval.epochs == 0
        if is_due or self._is_late() or done == self.params["epochs"] or self.stop.received is not None:
            elbo = (logs or {}).get(f"{TEST_PREFIX}elbo")
            self._write(Position(done), None if elbo is None else float(elbo))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        # From here on there is no step to wait for, and the last checkpoint has everything that is needed.
        self.stop.release()

    def _is_late(self) -> bool:
        minutes = self.interval.minutes
        return minutes is not None and time.monotonic() - self._written_at >= 60 * minutes

    def _write(self, position: Position, elbo: float | None = None) -> None:
        if self.folder is not None:
            save_checkpoint(self.model, self.folder, position, elbo=elbo)
        self._written_at = time.monotonic()
        if self.stop.received is not None:
            raise TrainingStoppedError(f"stopped after {position}", self.stop.received)
