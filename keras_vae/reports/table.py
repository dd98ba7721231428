"""The table of runs: the figures, their units, which direction is better, and the best values."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_vae.config import ModelConfig
from keras_vae.reports.runs import Run

ARROWS = {"lower": "↓", "higher": "↑", None: ""}
MISSING = "–"
DATA_ROWS = ("Trained on", "Measured on")
"""Labels of the rows that name data sets."""


@dataclass(frozen=True)
class Figure:
    """A figure of evaluation.json and its presentation.

    Args:
        key: its name in evaluation.json.
        label, unit: the text in the table.
        digits: decimals.
        better: ``lower``, ``higher``, or None if neither is better.
        settings: the evaluation settings that it depends on; figures with other settings are not comparable.
        is_likelihood: whether it is a density or a probability of the pixels, which are not comparable.
    """

    key: str
    label: str
    unit: str
    digits: int
    better: str | None
    settings: tuple[str, ...] = ()
    is_likelihood: bool = False


GROUPS: dict[str, tuple[Figure, ...]] = {
    "Reconstruction": (
        Figure("mse", "MSE", "", 5, "lower"),
        Figure("psnr", "PSNR", "dB", 2, "higher"),
        Figure("ssim", "SSIM", "", 4, "higher"),
        Figure("lpips", "LPIPS", "", 4, "lower"),
    ),
    "Likelihood": (
        Figure("elbo", "ELBO", "nats", 2, "higher", is_likelihood=True),
        Figure(
            "importance_nll",
            "−log p(x), importance sampling",
            "nats",
            2,
            "lower",
            ("importance_samples", "importance_images"),
            is_likelihood=True,
        ),
        Figure("nll", "NLL", "nats", 2, "lower", is_likelihood=True),
        Figure("kl", "KL from the prior", "nats", 2, None),
    ),
    "Latent space": (
        Figure("active_units", "Active units", "", 0, None),
        Figure("bits", "Rate of the codes", "bits", 1, None),
        Figure("perplexity", "Perplexity of the codes", "", 1, None),
        Figure("used_codes", "Codes in use", "%", 1, None),
        Figure("knn_accuracy", "Class by nearest neighbours", "%", 2, "higher", ("neighbours", "training_posteriors")),
    ),
    "Fréchet distance": (
        Figure("frechet_reconstructions", "Reconstructions", "", 2, "lower", ("frechet_images",)),
        Figure("frechet_prior", "Samples of the prior", "", 2, "lower", ("frechet_images",)),
        Figure(
            "frechet_gmm",
            "Samples of a mixture",
            "",
            2,
            "lower",
            ("frechet_images", "components", "training_posteriors"),
        ),
    ),
    "FID": (
        Figure(
            "fid_reconstructions", "Reconstructions (rFID)", "", 2, "lower", ("frechet_images", "fid_weights_sha256")
        ),
        Figure("fid_prior", "Samples of the prior", "", 2, "lower", ("frechet_images", "fid_weights_sha256")),
        Figure(
            "fid_gmm",
            "Samples of a mixture",
            "",
            2,
            "lower",
            ("frechet_images", "components", "training_posteriors", "fid_weights_sha256"),
        ),
    ),
}


@dataclass(frozen=True)
class Row:
    """A row of the table: one text per run, and the indices of the best ones."""

    label: str
    unit: str
    better: str | None
    texts: tuple[str, ...]
    best: frozenset[int] = frozenset()
    key: str = ""

    @property
    def arrow(self) -> str:
        """The arrow of the better direction."""
        return ARROWS[self.better]


def build_table(runs: Sequence[Run], *, marks_best: bool) -> dict[str, list[Row]]:
    """The rows of each group by its title. A figure that no run has is left out.

    Args:
        marks_best: whether the figures of the runs are comparable at all.
    """
    groups = {"Run": _run_rows(runs)}
    for title, figures in GROUPS.items():
        shown = [figure for figure in figures if any(run.metrics.get(figure.key) is not None for run in runs)]
        if shown:
            groups[title] = [_figure_row(figure, runs, marks_best) for figure in shown]
    return groups


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Evaluation settings that differ between the runs and that some figure depends on."""
    known = {name for figures in GROUPS.values() for figure in figures for name in figure.settings}
    return sorted(name for name in known if len({repr(run.evaluation_settings.get(name)) for run in runs}) > 1)


def has_one_likelihood(runs: Sequence[Run]) -> bool:
    """Whether the likelihoods are comparable: all of VAEs, and all densities or all probabilities of one kind."""
    densities = ("gaussian", "laplace")
    models = [run.config.model for run in runs]
    kinds = {(m.variational, "density" if m.likelihood in densities else m.likelihood) for m in models}
    return len(kinds) == 1


def as_markdown(groups: Mapping[str, Sequence[Row]], names: Sequence[str]) -> str:
    """The table in GitHub's Markdown, best values in bold."""
    lines = [f"| | {' | '.join(_escaped(name) for name in names)} |", f"| --- |{' ---: |' * len(names)}"]
    for title, rows in groups.items():
        lines.append(f"| **{title}** |{' |' * len(names)}")
        for row in rows:
            texts = [
                f"**{_escaped(text)}**" if index in row.best else _escaped(text) for index, text in enumerate(row.texts)
            ]
            lines.append(f"| {_escaped(_heading(row))} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def as_text(groups: Mapping[str, Sequence[Row]], names: Sequence[str]) -> str:
    """The table in columns for a terminal, best values with a star."""
    table = [("", *(_one_line(name) for name in names))]
    for title, rows in groups.items():
        table.append((title, *("" for _ in names)))
        for row in rows:
            texts = (f"{text} {'*' if index in row.best else ' '}" for index, text in enumerate(row.texts))
            table.append((f"  {_heading(row)}", *texts))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    lines = [
        f"{first:<{widths[0]}}" + "".join(f"  {text:>{width}}" for text, width in zip(rest, widths[1:], strict=True))
        for first, *rest in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(value: float, digits: int) -> str:
    """A number with thousands separators and a typographic minus sign."""
    return f"{value:,.{digits}f}".replace("-", "−")


def duration(seconds: float) -> str:
    """A duration as text: ``41 s``, ``38 min 2 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _run_rows(runs: Sequence[Run]) -> list[Row]:
    def row(label: str, unit: str, text: Callable[[Run], str]) -> Row:
        return Row(label, unit, None, tuple(text(run) for run in runs))

    return [
        row(DATA_ROWS[0], "", lambda run: _data_text(run.training_data, "train")),
        row(DATA_ROWS[1], "", lambda run: _data_text(run.evaluation_data, "test")),
        row("Latent size", "", lambda run: _latent_text(run.config.model)),
        row("Parameters", "", lambda run: number(run.parameters, 0)),
        row("Epochs", "", lambda run: number(run.epochs, 0)),
        row("Training time", "", lambda run: MISSING if run.seconds is None else duration(run.seconds)),
        row(
            "Training speed",
            "images/s",
            lambda run: MISSING if run.images_per_second is None else number(run.images_per_second, 0),
        ),
    ]


def _latent_text(model: ModelConfig) -> str:
    return number(model.latent_dim, 0) if model.latent_shape is None else model.latent.replace("x", "×")


def _data_text(data: Mapping[str, Any], split: str) -> str:
    counts = data.get("counts")
    count = counts.get(split) if isinstance(counts, Mapping) else None
    name = str(data.get("name", MISSING))
    return f"{name}, {count:,} images" if isinstance(count, int) else name


def _figure_row(figure: Figure, runs: Sequence[Run], marks_best: bool) -> Row:
    values = [run.metrics.get(figure.key) for run in runs]
    is_comparable = not set(figure.settings) & set(differing_settings(runs)) and (
        not figure.is_likelihood or has_one_likelihood(runs)
    )
    texts = tuple(_text(figure, value, run) for value, run in zip(values, runs, strict=True))
    best = _best(figure, values, texts) if marks_best and is_comparable else frozenset()
    return Row(figure.label, figure.unit, figure.better, texts, best, figure.key)


def _text(figure: Figure, value: Any, run: Run) -> str:
    if not isinstance(value, int | float):
        return MISSING
    if figure.key == "active_units":
        return f"{value:,} of {run.config.model.latent_dim:,}"
    return number(value * 100 if figure.unit == "%" else value, figure.digits)


def _best(figure: Figure, values: Sequence[Any], texts: Sequence[str]) -> frozenset[int]:
    """Indices of the best value and of values with the same text; empty if all are equal or there is only one."""
    known = [value for value in values if isinstance(value, int | float)]
    if figure.better is None or len(known) < 2:
        return frozenset()
    best = texts[values.index(min(known) if figure.better == "lower" else max(known))]
    chosen = frozenset(index for index, text in enumerate(texts) if text == best)
    return chosen if len(chosen) < len(known) else frozenset()


def _heading(row: Row) -> str:
    return " ".join(part for part in (row.label, row.unit and f"[{row.unit}]", row.arrow) if part)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """Text that Markdown shows literally, also inside a table."""
    return re.sub(r"([\\`*|\[\]])", r"\\\1", html.escape(_one_line(text), quote=False))
