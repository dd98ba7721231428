"""The settings in which runs differ, and the commands that evaluate and compare them again."""

from __future__ import annotations

import dataclasses
import shlex
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_vae.config import RunConfig
from keras_vae.reports.runs import Run
from keras_vae.reports.table import MISSING
from keras_vae.training.command_line import flat_settings


@dataclass(frozen=True)
class Difference:
    """A setting that not all runs share.

    Args:
        name: ``section.setting``, or the name of a recorded fact.
        help: the help text; empty for recorded facts.
        values: one per run.
    """

    name: str
    help: str
    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(_text(value) for value in self.values)


def differences(runs: Sequence[Run]) -> list[Difference]:
    """The settings in which the runs differ, then differences in software and machine."""
    helps = _helps(RunConfig)
    found = [(name, helps[name], [flat_settings(run.config)[name] for run in runs]) for name in helps]
    found += [(name, "", [_environment(run).get(name) for run in runs]) for name in _names(runs)]
    return [
        Difference(name, help, tuple(values))
        for name, help, values in found
        if len({repr(value) for value in values}) > 1
    ]


def other_commands(runs: Sequence[Run], folder: Path) -> list[str]:
    """The command lines that evaluate and compare the runs."""
    paths = [str(run.path) for run in runs]
    return [
        *(shlex.join(["keras-vae", "evaluate", path]) for path in paths),
        shlex.join(["keras-vae", "compare", *paths, "--to", str(folder)]),
    ]


def _helps(section: type[Any], prefix: str = "") -> dict[str, str]:
    """``section.setting`` → help text, in the order of the config."""
    hints = typing.get_type_hints(section)
    helps: dict[str, str] = {}
    for field in dataclasses.fields(section):
        if dataclasses.is_dataclass(hints[field.name]):
            helps |= _helps(hints[field.name], f"{field.name}.")
        else:
            helps[prefix + field.name] = str(field.metadata["help"])
    return helps


def _names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in _environment(run)))


def _environment(run: Run) -> dict[str, Any]:
    """The recorded software and machine, as far as this module knows the names."""
    recorded = run.recorded.get("environment")
    if not isinstance(recorded, Mapping):
        return {}
    known = {name: recorded.get(name) for name in ("platform", "python", "git_revision")}
    known["GPUs"] = recorded.get("gpus")
    for name in ("precision", "jit"):
        chosen = recorded.get(name)
        known[f"{name} chosen"] = chosen.get("value") if isinstance(chosen, Mapping) else None
    packages = recorded.get("packages")
    return known | (dict(packages) if isinstance(packages, Mapping) else {})


def _text(value: Any) -> str:
    if value is None or value == []:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
