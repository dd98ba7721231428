"""Scalars for TensorBoard, training and test side by side in the same charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_vae.callbacks.history import TEST_PREFIX


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes every metric of the epoch under ``<folder>/train`` and ``<folder>/test``, at the epoch's number."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._writers = {side: tf.summary.create_file_writer(str(self.folder / side)) for side in ("train", "test")}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, value in (logs or {}).items():
            is_test = name.startswith(TEST_PREFIX)
            with self._writers["test" if is_test else "train"].as_default():
                tf.summary.scalar(name.removeprefix(TEST_PREFIX), value, step=epoch + 1)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
