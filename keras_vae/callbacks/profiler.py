"""A window of training steps under TensorFlow's profiler, for TensorBoard's profile dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Profiler(keras.callbacks.Callback):
    """Traces the steps ``first`` to ``last`` of this process into ``folder/plugins/profile``.

    With several steps per execution, the trace starts and ends with the calls that contain these two steps.

    Args:
        folder: what TensorBoard shows as a run.
        first, last: steps, counted from 1; step 1 compiles.
    """

    def __init__(self, folder: Path, first: int, last: int) -> None:
        super().__init__()
        self.folder = folder
        self.first = first
        self.last = last

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._start = int(np.array(self.model.step))
        self._steps_a_call = self.model.steps_per_execution
        self._is_running = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._is_running and self._done() < self.last and self._done() + self._steps_a_call >= self.first:
            tf.profiler.experimental.start(str(self.folder))
            self._is_running = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_running and self._done() >= self.last:
            self._stop()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._is_running:
            self._stop()

    def _done(self) -> int:
        return int(np.array(self.model.step)) - self._start

    def _stop(self) -> None:
        tf.profiler.experimental.stop()
        self._is_running = False
