"""metrics.csv: one row an epoch."""

from __future__ import annotations

import time
from typing import Any

import keras

from keras_vae.training.run_directory import RunDirectory

TEST_PREFIX = "val_"


class MetricsHistory(keras.callbacks.Callback):
    """Writes ``epoch``, ``seconds``, ``images_per_second`` and each metric, as ``train_…`` or ``test_…``, every epoch.

    ``images_per_second`` is of the training steps alone, the first call of the process (which compiles) left out.
    Rows of earlier epochs are kept when a run is resumed.
    """

    def __init__(self, run: RunDirectory, batch_size: int) -> None:
        super().__init__()
        self.run = run
        self.batch_size = batch_size
        self.rows = run.read_metrics()
        self._is_compiled = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self._begin = self._timed_from = self._timed_to = time.perf_counter()
        self._first_batch = self._last_batch = -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._timed_to = time.perf_counter()
        self._last_batch = batch
        if not self._is_compiled:
            self._is_compiled = True
            self._timed_from, self._first_batch = self._timed_to, batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        elapsed = self._timed_to - self._timed_from
        images = (self._last_batch - self._first_batch) * self.batch_size
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - self._begin, 3)}
        if images:
            row["images_per_second"] = round(images / elapsed, 1)
        for name, value in (logs or {}).items():
            side, metric = ("test", name.removeprefix(TEST_PREFIX)) if name.startswith(TEST_PREFIX) else ("train", name)
            row[f"{side}_{metric}"] = float(value)
        self.rows.append(row)
        self.run.write_metrics(self.rows)
