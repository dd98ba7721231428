"""Read and check the directory of a finished run."""

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
        name: the name of the directory, with its parents' names if several runs have the same one.
        path: the run directory as given.
        config: the description of the run.
        recorded: data and environment as recorded beside the config.
        rows: metrics.csv, one row per epoch, at least one.
        evaluation: the contents of evaluation.json; its ``metrics`` are finite numbers, None, or lists of these.
        parameters: number of the model's weights, trainable or not.
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
        """The folder of the run's pictures."""
        return RunDirectory(self.path).plots

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The figures of the evaluation."""
        return _section(self.evaluation, "metrics")

    @property
    def evaluation_settings(self) -> Mapping[str, Any]:
        """The settings of the evaluation."""
        return _section(self.evaluation, "settings")

    @property
    def training_data(self) -> Mapping[str, Any]:
        """The recorded data set that the run was trained on."""
        return _section(self.recorded, "data")

    @property
    def evaluation_data(self) -> Mapping[str, Any]:
        """The data set of the evaluation; the training data set if it is not recorded."""
        return _section(self.evaluation, "data") or self.training_data

    @property
    def epochs(self) -> int:
        """Number of trained epochs."""
        return int(self.rows[-1]["epoch"])

    @property
    def seconds(self) -> float | None:
        """Wall-clock time of all epochs, or None if it was not recorded."""
        seconds = [row.get("seconds") for row in self.rows]
        return None if None in seconds else float(sum(seconds))  # type: ignore[arg-type]  # no None is left

    @property
    def images_per_second(self) -> float | None:
        """Training speed of the median epoch, since the first one includes compilation."""
        speeds = [row["images_per_second"] for row in self.rows if "images_per_second" in row]
        return float(statistics.median(speeds)) if speeds else None


def check_runs(paths: Sequence[Path]) -> None:
    """Check without reading much that the runs can be compared: each is finished, and none is given twice.

    Raises:
        InputError: if no run is given, or if one is not a run, is not finished, or is given twice.
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
    """Read finished and evaluated runs in the given order.

    Args:
        paths: the run directories.
        evaluations: new evaluations that could not be saved in the evaluation.json of their run.

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
        raise InputError(f"{path}: has not been evaluated yet; do so with: keras-vae evaluate {path}")
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
    """The names of the directories, extended by their parents' until all are different."""
    whole = [path.resolve().parts for path in paths]
    lengths = [1] * len(paths)
    while True:
        names = ["/".join(parts[-length:]) for parts, length in zip(whole, lengths, strict=True)]
        counts = Counter(names)
        if max(counts.values()) == 1:
            return [_printable(name) for name in names]
        lengths = [length + (counts[name] > 1) for name, length in zip(names, lengths, strict=True)]


def _printable(name: str) -> str:
    """The name with a replacement character for each byte or character that cannot be shown."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)


def _checked_metrics(path: Path, metrics: Any) -> dict[str, Any]:
    if not isinstance(metrics, dict) or not metrics:
        raise InputError(f"{path}: has no metrics; measure the run again with: keras-vae evaluate {path.parent}")
    return {name: _checked_value(path, name, value) for name, value in metrics.items()}


def _checked_value(path: Path, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_checked_value(path, name, item) for item in value]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        # A diverged model has figures that are not finite; JSON has no notation for them.
        return value if value is None or math.isfinite(value) else None
    raise InputError(f"{path}: {name[:60]} is not a number")


def _read_parameters(directory: RunDirectory) -> int:
    count = directory.read_summary().get("parameters")
    if not isinstance(count, int):
        raise InputError(f"{directory.summary}: does not say how many parameters the model has")
    return count


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}
