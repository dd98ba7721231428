"""What a finished run's directory holds, read once and checked."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Run:
    """A finished run that has been evaluated.

    Args:
        name: the directory's name, after its parents' where several runs have one name.
        path: the run's directory, as it was given.
        config: what was run.
        recorded: what was recorded beside it: data, environment.
        rows: metrics.csv, one row an epoch, at least one.
        evaluation: what evaluation.json holds; its ``metrics`` are finite numbers, None, or lists of them.
        parameters: the model's numbers, trained or not.
    """

    name: str
    path: Path
    config: RunConfig
    recorded: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    evaluation: Mapping[str, Any]
    parameters: int

    @property
    def plots(self) -> Path:
        """Where the run's pictures lie."""
        return RunDirectory(self.path).plots

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The figures of the evaluation."""
        return _section(self.evaluation, "metrics")

    @property
    def evaluation_settings(self) -> Mapping[str, Any]:
        """How they were measured."""
        return _section(self.evaluation, "settings")

    @property
    def training_data(self) -> Mapping[str, Any]:
        """The data set that the run was trained on, as recorded."""
        return _section(self.recorded, "data")

    @property
    def evaluation_data(self) -> Mapping[str, Any]:
        """The data set on whose test images the figures were measured; the training one where it is not said."""
        return _section(self.evaluation, "data") or self.training_data

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return int(self.rows[-1]["epoch"])

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of all epochs, or None where it was not recorded."""
        seconds = [row.get("seconds") for row in self.rows]
        return None if None in seconds else float(sum(seconds))  # type: ignore[arg-type]  # no None is left

    @property
    def images_per_second(self) -> float | None:
        """Training speed in the median epoch: the first one also compiles."""
        speeds = [row["images_per_second"] for row in self.rows if "images_per_second" in row]
        return float(statistics.median(speeds)) if speeds else None


def check_runs(paths: Sequence[Path]) -> None:
    """Check, reading little, that runs can be compared: each is a finished run, and none is given twice.

    Raises:
        InputError: if there is no run, one is none, is not finished, or is given twice.
    """
    if not paths:
        raise InputError("nothing to compare: name at least one run directory")
    seen: dict[Path, Path] = {}
    for path in paths:
        run = RunDirectory.open(path)
        if not run.model.is_file():
            raise InputError(
                f"{path}: has no model yet; finish the run with: keras-vae train --resume --run-dir {path}"
            )
        same = seen.setdefault(path.resolve(), path)
        if same is not path:
            raise InputError(f"{path}: is the same run as {same}; name each run once")


def read_runs(paths: Sequence[Path], evaluations: Mapping[Path, Mapping[str, Any]] | None = None) -> list[Run]:
    """Read finished and evaluated runs, in the order given.

    Args:
        paths: the runs' directories.
        evaluations: what was measured just now, for runs where it could not be kept in evaluation.json.

    Raises:
        InputError: as `check_runs`, or when a file is damaged or a run has no evaluation.json.
    """
    check_runs(paths)
    measured = evaluations or {}
    return [_read_run(path, name, measured.get(path)) for path, name in zip(paths, _names(paths), strict=True)]


def _read_run(path: Path, name: str, measured: Mapping[str, Any] | None) -> Run:
    directory = RunDirectory.open(path)
    evaluation = measured or directory.read_evaluation()
    if evaluation is None:
        raise InputError(f"{path}: has not been measured yet; do it with: keras-vae evaluate {path}")
    rows = directory.read_metrics()
    if not rows:
        raise InputError(f"{directory.metrics}: has no epoch")
    return Run(
        name=name,
        path=path,
        config=directory.read_config(),
        recorded=directory.read_recorded(),
        rows=tuple(rows),
        evaluation={**evaluation, "metrics": _checked_metrics(directory.evaluation, evaluation.get("metrics"))},
        parameters=_read_parameters(directory),
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The directories' names, each lengthened by its parents until no two are equal."""
    whole = [path.resolve().parts for path in paths]
    lengths = [1] * len(paths)
    while True:
        names = ["/".join(parts[-length:]) for parts, length in zip(whole, lengths, strict=True)]
        counts = Counter(names)
        if max(counts.values()) == 1:
            return [_printable(name) for name in names]
        lengths = [length + (counts[name] > 1) for name, length in zip(names, lengths, strict=True)]


def _printable(name: str) -> str:
    """The name with a mark for each byte that is no text, and each sign that cannot be shown."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)


def _checked_metrics(path: Path, metrics: Any) -> dict[str, Any]:
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(f"{path}: has no metrics; measure the run again with: keras-vae evaluate {path.parent}")
    return {name: _checked_value(path, name, value) for name, value in metrics.items()}


def _checked_value(path: Path, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_checked_value(path, name, item) for item in value]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        # A model that diverged has figures that are no numbers; JSON has none for them.
        return value if value is None or math.isfinite(value) else None
    raise InputError(f"{path}: {name[:60]} is no number")


def _read_parameters(directory: RunDirectory) -> int:
    count = directory.read_summary().get("parameters")
    if not isinstance(count, int):
        raise InputError(f"{directory.summary}: does not say how many parameters the model has")
    return count


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}
