"""The layout of a run's directory, and how its files are read and written."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.files import is_leftover_of, write_text
from keras_vae.training.run_lock import NAME, check_unlocked


class RunDirectory:
    """``runs/<name>/``: config.json, metrics.csv, summary.json, model.keras, checkpoints/, tensorboard/, plots/.

    ``keras-vae evaluate`` adds evaluation.json.

    Importing this module imports neither Keras nor TensorFlow.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.csv"
        self.summary = self.path / "summary.json"
        self.model = self.path / "model.keras"
        self.evaluation = self.path / "evaluation.json"
        self.checkpoints = self.path / "checkpoints"
        self.frames = self.checkpoints / "frames"
        self.tensorboard = self.path / "tensorboard"
        self.plots = self.path / "plots"

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        config: RunConfig | None = None,
        recorded: Mapping[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> RunDirectory:
        """Make a new run's directory.

        Args:
            path: where it goes.
            config, recorded: as for `write_config`. They are written before anything else, so that a process that is
                killed from here on leaves a run that can be resumed.
            overwrite: delete an existing run.

        Raises:
            InputError: if the place is taken by something other than a run, or by a run and ``overwrite`` is not set;
                or if it cannot be written.
        """
        run = cls(path)
        run.check_free(overwrite=overwrite)
        try:
            if run.is_run():
                run._clear()
            run.path.mkdir(parents=True, exist_ok=True)
            if config is not None:
                run.write_config(config, recorded or {})
            else:
                run.config.unlink(missing_ok=True)
            run.make_folders()
        except OSError as error:
            run.remove()  # it was empty, or held a run to be overwritten
            raise InputError(f"{run.path}: cannot make the run directory ({error.strerror or error})") from error
        return run

    def make_folders(self) -> None:
        """Make the folders that training writes to, where they are missing: a killed `create` may leave none."""
        for folder in (self.frames, self.tensorboard, self.plots):
            folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """An existing run.

        Raises:
            InputError: if there is none.
        """
        run = cls(path)
        if not run.is_run():
            raise InputError(f"{run.path}: not a run directory (it has no config.json)")
        return run

    def check_free(self, *, overwrite: bool = False) -> None:
        """Check that a new run can go here, without changing anything.

        Raises:
            InputError: if the place is taken by something other than a run, by a run that a process trains into, or by
                a run and ``overwrite`` is not set; or if it cannot be written.
        """
        try:
            is_taken = self.path.exists() and not self.is_empty()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from error
        if is_taken and not self.is_run():
            raise InputError(f"{self.path}: exists and is not a run; choose another --run-dir")
        if is_taken and not overwrite:
            raise InputError(
                f"{self.path}: there is a run already; continue it with --resume, start again with --overwrite, "
                "or choose another --run-dir"
            )
        if is_taken:
            check_unlocked(self.path)
        nearest = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(f"{self.path}: {nearest} is not a directory that can be written; choose another --run-dir")

    @property
    def go_on(self) -> str:
        """How to resume the run."""
        return f"go on with: keras-vae train --resume --run-dir {self.path}"

    def is_run(self) -> bool:
        """Whether a run was started here."""
        return os.path.isfile(self.config)  # unlike Path.is_file, False if the path cannot be looked up

    def is_empty(self) -> bool:
        """Whether this is a folder without files, apart from those of a run that was killed as it began.

        Raises:
            OSError: if the folder cannot be read.
        """
        return self.path.is_dir() and not any(map(_has_files, self.path.iterdir()))

    def finished_epochs(self) -> int | None:
        """The number of epochs of a finished run, which has its model, summary and pictures; None for any other run."""
        if not (self.model.is_file() and self.summary.is_file()):
            return None
        try:
            summary = self.read_summary()
        except InputError:
            return None
        epochs = summary.get("epochs")
        return epochs if isinstance(epochs, int) and summary.get("finished", True) else None

    def mark_finished(self) -> None:
        """Note in summary.json that the run is complete: the pictures, which come last, have been drawn."""
        self.write_summary({**self.read_summary(), "finished": True})

    def remove(self) -> None:
        """Delete the run, as far as it can be deleted."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _clear(self) -> None:
        """Delete everything but config.json, which identifies a folder as a run."""
        if self.path.is_symlink():
            raise OSError(errno.ENOTSUP, "it is a link, and its target is not deleted")
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self.config:
                path.unlink()

    def write_config(self, config: RunConfig, recorded: Mapping[str, Any]) -> None:
        """Write config.json: the description of the run, and a record of its data, device and software."""
        text = json.dumps({"config": config.as_dict(), "recorded": recorded}, indent=2, allow_nan=False)
        write_text(self.config, text + "\n")

    def read_config(self) -> RunConfig:
        """The run's description.

        Raises:
            InputError: if config.json cannot be read or is not valid.
        """
        return read_config(self.config)

    def read_recorded(self) -> dict[str, Any]:
        """The record of data, device and software in config.json."""
        recorded = _read_json(self.config).get("recorded")
        return recorded if isinstance(recorded, dict) else {}

    def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace metrics.csv: one row for each epoch."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics, text.getvalue())

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.csv, with numbers as numbers; empty before the first epoch has ended.

        Raises:
            InputError: if the file cannot be read or has other contents.
        """
        if not self.metrics.is_file():
            return []
        try:
            rows = list(csv.DictReader(io.StringIO(self.metrics.read_text(encoding="utf-8")), strict=True))
            return [
                {"epoch": int(row.pop("epoch")), **{name: float(value) for name, value in row.items() if value}}
                for row in rows
            ]
        except OSError as error:
            raise InputError(f"{self.metrics}: cannot be read ({error.strerror})") from error
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise InputError(f"{self.metrics}: is not a table of numbers with one row for each epoch") from error

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json: the results of the run."""
        write_text(self.summary, json.dumps(summary, indent=2) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """What `write_summary` wrote.

        Raises:
            InputError: if the file cannot be read or is not a JSON object.
        """
        return _read_json(self.summary)

    def write_evaluation(self, report: Mapping[str, Any]) -> None:
        """Write evaluation.json: the measurements of the model, and the data they were made on."""
        write_text(self.evaluation, json.dumps(report, indent=2, allow_nan=False) + "\n")

    def read_evaluation(self) -> dict[str, Any] | None:
        """What `write_evaluation` wrote, or None if the model has not been evaluated.

        Raises:
            InputError: if the file cannot be read or is not a JSON object.
        """
        return _read_json(self.evaluation) if self.evaluation.is_file() else None


def _has_files(path: Path) -> bool:
    """Whether ``path`` is more than a run leaves if it is killed as it begins: a lock, empty folders, half a config."""
    if path.is_dir():
        return any(not inner.is_dir() for inner in path.rglob("*"))
    return path.name != NAME and not is_leftover_of(path, "config.json")


def metrics_by_name(rows: Sequence[Mapping[str, Any]], side: str) -> dict[str, list[float | None]]:
    """Metric → its value in each row of `RunDirectory.read_metrics`, or None; ``side`` is "train" or "test"."""
    prefix = f"{side}_"
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    return {name.removeprefix(prefix): [row.get(name) for row in rows] for name in names}


def read_config(path: Path) -> RunConfig:
    """The description of a run in a config.json, or in a file with nothing but the description.

    Raises:
        InputError: if the file cannot be read or is not JSON, or a setting is unknown or out of range.
    """
    values = _read_json(path)
    try:
        return RunConfig.from_dict(values.get("config", values))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object")
    return values
