"""Write a comparison: a folder with table, pictures and figures, and an HTML report that contains them all."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from keras_vae.errors import InputError
from keras_vae.reports.comparison import Comparison, compare
from keras_vae.reports.folder import MARK, replaced_whole
from keras_vae.reports.pictures import (
    PictureFile,
    columns_of,
    missing_pictures,
    write_animations,
    write_curves,
    write_stills,
)
from keras_vae.reports.runs import Run
from keras_vae.reports.settings import other_commands
from keras_vae.reports.table import DATA_ROWS, as_markdown, number
from keras_vae.reports.wording import data_sentence, meanings, versions_sentence
from keras_vae.training.command_line import training_command
from keras_vae.visualize.style import CLASS_COLOURS

_TYPES = {".png": "image/png", ".gif": "image/gif"}
# A chart of this size cannot show more latent dimensions.
_MOST_BARS = 64

Pictures = Mapping[str, Sequence[PictureFile | None]]


def write_comparison(folder: Path, runs: Sequence[Run]) -> Comparison:
    """Write table, pictures, figures and report of the runs to ``folder``, completely or not at all.

    Raises:
        InputError: if something else is there, the place cannot be written, or a run's picture is damaged.
    """
    comparison = compare(runs)
    with replaced_whole(folder) as new:
        stills, animations = write_stills(new, runs), write_animations(new, runs)
        curves = write_curves(new, runs)
        notes = (*comparison.notes, *missing_pictures({**stills, **animations}, runs))
        comparison = dataclasses.replace(comparison, notes=notes)
        texts = {
            MARK: _as_json(comparison),
            "comparison.md": _markdown(comparison, sorted(path.name for path in new.iterdir())),
            "report.html": _html(comparison, folder, stills, animations, curves),
        }
        for name, text in texts.items():
            # The name of a directory may contain bytes that are not valid text.
            (new / name).write_text(text, encoding="utf-8", errors="replace")
    return comparison


def _as_json(comparison: Comparison) -> str:
    try:
        return json.dumps(comparison.as_dict(), indent=2, allow_nan=False) + "\n"
    except ValueError as error:
        raise InputError(f"the runs' records contain a value that is not a finite number ({error})") from error


def _markdown(comparison: Comparison, pictures: Sequence[str]) -> str:
    parts = [
        "# Comparison of runs",
        as_markdown(comparison.table, comparison.names),
        "↓ lower is better, ↑ higher is better, **bold** the best of a row; nats are per image.",
        *(f"> {note}" for note in comparison.notes),
        *(f"![{Path(name).stem.replace('_', ' ')}]({name})" for name in pictures),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _html(
    comparison: Comparison, folder: Path, stills: Pictures, animations: Pictures, curves: Mapping[str, PictureFile]
) -> str:
    runs = comparison.runs
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data_uri"] = _data_uri
    source = resources.files("keras_vae.reports").joinpath("report.html.j2").read_text(encoding="utf-8")
    groups = dict(comparison.table)
    return environment.from_string(source).render(
        title=_title(comparison.names),
        comparison=comparison,
        runs=runs,
        colours=[CLASS_COLOURS[index % len(CLASS_COLOURS)] for index in range(len(runs))],
        columns=columns_of(len(runs)),
        # Facts that all runs share are stated once, above the table.
        facts=[row for row in groups.pop("Run") if row.label not in DATA_ROWS or len({*row.texts}) > 1],
        groups=groups,
        stills=stills,
        animations=animations,
        curves=curves,
        bars=[_bars(run, runs) for run in runs],
        data_sentence=data_sentence(runs),
        meanings=meanings(runs),
        versions=versions_sentence(runs),
        commands=[*(training_command(run.path, run.config) for run in runs), *other_commands(runs, folder)],
    )


def _title(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{len(names)} runs compared"
    return f"{' and '.join([', '.join(names[:-1]), names[-1]])} compared" if len(names) > 1 else names[0]


def _data_uri(path: Path) -> str:
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _bars(run: Run, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The KL of each latent dimension, largest first: the fraction of the largest KL of all runs, and its text."""
    largest = max((max(_kl(other), default=0.0) for other in runs), default=0.0)
    return [
        {"share": max(value, 0.0) / largest if largest > 0 else 0.0, "text": number(value, 2)}
        for value in sorted(_kl(run), reverse=True)[:_MOST_BARS]
    ]


def _kl(run: Run) -> list[float]:
    values = run.metrics.get("kl_per_dimension")
    return [float(value) for value in values if isinstance(value, int | float)] if isinstance(values, list) else []
