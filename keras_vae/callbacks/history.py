"""metrics.csv: one row for each epoch."""

from __future__ import annotations

import time
from typing import Any

import keras

from keras_vae.callbacks.figures import IMAGES_PER_SECOND
from keras_vae.training.run_directory import RunDirectory

TEST_PREFIX = "val_"


class MetricsHistory(keras.callbacks.Callback):
    """Writes ``epoch``, ``seconds``, ``images_per_second`` and each metric (``train_…`` or ``test_…``) of every epoch.

    A resumed run keeps the rows of earlier epochs.
    """

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self.rows = run.read_metrics()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = dict(logs or {})
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - self._begin, 3)}
        if IMAGES_PER_SECOND in logs:
            row[IMAGES_PER_SECOND] = round(logs.pop(IMAGES_PER_SECOND), 1)
        for name, value in logs.items():
            side, metric = ("test", name.removeprefix(TEST_PREFIX)) if name.startswith(TEST_PREFIX) else ("train", name)
            row[f"{side}_{metric}"] = float(value)
        self.rows.append(row)
        self.run.write_metrics(self.rows)
