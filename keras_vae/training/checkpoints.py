"""Checkpoints: everything that training needs to go on as if it had not stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras

from keras_vae.errors import InputError
from keras_vae.files import written_beside
from keras_vae.training.saving import first_line
from keras_vae.training.trainer import VAETrainer

KEPT = 3
_NAME = re.compile(r"epoch_(\d+)\.weights\.h5")


def save_checkpoint(trainer: VAETrainer, folder: Path, epochs_done: int) -> Path:
    """Write both players and optimizers, the averaged weights, the step and every random state; keep the last three."""
    path = folder / f"epoch_{epochs_done:04d}.weights.h5"
    with written_beside(path) as beside:
        trainer.save_weights(beside)
    for _, old in list_checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(epochs done, file) of every checkpoint, oldest first."""
    found = [(match, path) for path in folder.glob("*.weights.h5") if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in found)


def restore_checkpoint(trainer: VAETrainer, folder: Path) -> int:
    """Load the newest checkpoint into a trainer that was built from the same description; returns the epochs done.

    Raises:
        InputError: when there is none, or it does not fit the trainer.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise InputError(f"{folder}: no checkpoint to resume from; start again with --overwrite")
    epochs_done, path = checkpoints[-1]
    try:
        trainer.load_weights(path)
    except Exception as error:  # whatever a damaged file makes Keras and HDF5 raise
        raise InputError(f"{path}: cannot be loaded ({first_line(error)})") from error
    return epochs_done


class CheckpointCallback(keras.callbacks.Callback):
    """Writes a checkpoint after every epoch."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        save_checkpoint(self.model, self.folder, epoch + 1)
