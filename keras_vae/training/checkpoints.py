"""Checkpoints: everything that training needs to continue as if it had not stopped.

``checkpoints/epoch_0003_step_00120/`` holds ``state.npz``, the arrays of every variable, and ``checkpoint.json``, its
SHA-256 and the test ELBO. The folder is written beside its place and renamed, so that it is whole or not there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside, sha256_of
from keras_vae.training.distribution import copies_of
from keras_vae.training.trainer import VAETrainer

KEPT = 3
_NAME = re.compile(r"epoch_(\d{4,})_step_(\d{5,})")
_DAMAGED = "damaged_"
_STATE, _ABOUT = "state.npz", "checkpoint.json"


class Position(NamedTuple):
    """How far a run has come: whole epochs, and steps of the next one."""

    epochs: int
    steps: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epochs}" if not self.steps else f"step {self.steps} of epoch {self.epochs + 1}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, and how far the run had come."""

    path: Path
    position: Position


class _DamagedError(Exception):
    """A checkpoint that differs from what was written."""


def save_checkpoint(trainer: VAETrainer, folder: Path, position: Position, *, elbo: float | None = None) -> Path:
    """Write both players and optimizers, the averaged weights, the step, every random state and the epoch's means.

    The last three are kept, and of those that have a test ``elbo`` the one with the largest.

    Raises:
        OSError: if it cannot be written; the others are as they were.
    """
    path = _path_of(folder, position)
    with folder_written_beside(path) as beside:
        with open(beside / _STATE, "wb") as file:
            np.savez(file, allow_pickle=False, **_arrays_of(trainer))
            file.flush()
            os.fsync(file.fileno())  # a full disk may show only now
        about = {"sha256": sha256_of(beside / _STATE), "elbo": elbo}
        (beside / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    _remove_old(folder)
    return path


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """Every checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)) and path.is_dir()]
    return sorted(
        (Checkpoint(path, Position(int(match[1]), int(match[2]))) for match, path in found),
        key=lambda checkpoint: checkpoint.position,
    )


def has_begun(folder: Path) -> bool:
    """Whether a checkpoint was ever written there, whole or damaged."""
    return folder.is_dir() and any(_NAME.fullmatch(path.name.removeprefix(_DAMAGED)) for path in folder.iterdir())


def restore_checkpoint(trainer: VAETrainer, folder: Path, say: Callable[[str], None]) -> Position:
    """Load the newest whole checkpoint into a trainer that was built from the same description.

    A damaged one is set aside, with a line to ``say``, and the one before is taken.

    Raises:
        InputError: if there is none, none is whole, or it does not fit the trainer.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise InputError(f"{folder}: no checkpoint to resume from; start again with --overwrite")
    for checkpoint in reversed(checkpoints):
        try:
            arrays = _read(checkpoint.path)
        except _DamagedError as error:
            aside = checkpoint.path.with_name(f"{_DAMAGED}{checkpoint.path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            checkpoint.path.rename(aside)
            say(f"{checkpoint.path}: is damaged ({error}); renamed to {aside.name}, trying the one before")
            continue
        _load(trainer, arrays, checkpoint.path)
        return checkpoint.position
    raise InputError(f"{folder}: every checkpoint is damaged; start again with --overwrite")


def load_checkpoint(trainer: VAETrainer, folder: Path, position: Position) -> None:
    """Load the checkpoint at ``position``, which another worker has found whole.

    Raises:
        InputError: if it cannot be read, or does not fit the trainer.
    """
    path = _path_of(folder, position)
    try:
        arrays = _read(path)
    except _DamagedError as error:
        raise InputError(f"{path}: cannot be read here ({error}); all workers need the same --run-dir") from error
    _load(trainer, arrays, path)


def _path_of(folder: Path, position: Position) -> Path:
    return folder / f"epoch_{position.epochs:04d}_step_{position.steps:05d}"


def _variables_of(trainer: VAETrainer) -> Iterator[tuple[str, Any]]:
    """Every variable with a unique name, always in the same order."""
    parts = {
        "trainer": [trainer.step, trainer.skipped_in_a_row],
        "vae": trainer.vae.variables,
        "optimizer": trainer.optimizer.variables,
    }
    if trainer.ema_vae is not None:
        parts["ema_vae"] = trainer.ema_vae.variables
    if trainer.discriminator is not None:
        parts["discriminator"] = trainer.discriminator.variables
        parts["discriminator_optimizer"] = trainer.discriminator_optimizer.variables
    if trainer.feature_discriminator is not None:
        parts["feature_discriminator"] = trainer.feature_discriminator.variables
    # In the middle of an epoch these are the sums behind its means.
    parts["metrics"] = [variable for metric in trainer.metrics for variable in metric.variables]
    for part, variables in parts.items():
        for index, variable in enumerate(variables):
            yield f"{part}_{index:04d}", variable


def _arrays_of(trainer: VAETrainer) -> dict[str, npt.NDArray[Any]]:
    # Every replica has the same values. The value of a metric outside of a step would be a sum over all workers.
    return {name: copies_of(variable)[0].numpy() for name, variable in _variables_of(trainer)}


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        if sha256_of(path / _STATE) != about["sha256"]:
            raise _DamagedError(f"{_STATE} differs from what was written")
        with np.load(path / _STATE, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise _DamagedError(" ".join(str(error).split()) or type(error).__name__) from error


def _load(trainer: VAETrainer, arrays: dict[str, npt.NDArray[Any]], path: Path) -> None:
    variables = dict(_variables_of(trainer))
    found = {name: array.shape for name, array in arrays.items()}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    if found != expected:
        wrong = min(name for name in found | expected if found.get(name) != expected.get(name))
        raise InputError(
            f"{path}: belongs to another model or optimizer "
            f"({wrong} is {found.get(wrong)}, not {expected.get(wrong)}); "
            "resume it with the config.json and the version of keras-vae that made it"
        )
    for name, variable in variables.items():
        for copy in copies_of(variable):
            copy.assign(arrays[name])


def _remove_old(folder: Path) -> None:
    checkpoints = list_checkpoints(folder)
    elbos = {checkpoint.path: elbo for checkpoint in checkpoints if (elbo := _elbo_of(checkpoint.path)) is not None}
    best = max(elbos, key=lambda path: elbos[path], default=None)
    for checkpoint in checkpoints[:-KEPT]:
        if checkpoint.path != best:
            shutil.rmtree(checkpoint.path)


def _elbo_of(path: Path) -> float | None:
    try:
        elbo = json.loads((path / _ABOUT).read_text(encoding="utf-8"))["elbo"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a damaged checkpoint cannot be the best
    return elbo if isinstance(elbo, float) else None
