"""Metrics against epochs (``train_plots.png``, ``test_plots.png``): one run, or several over one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from keras_vae.errors import InputError
from keras_vae.visualize.style import (
    CLASS_COLOURS,
    DPI,
    INK,
    LABEL_SIZE,
    PLOT_WIDTH,
    SOFT_INK,
    TICK_SIZE,
    Picture,
    add_text,
    add_title,
    new_figure,
    render,
    shorten,
    style_axes,
    text_width,
)

Metrics = Mapping[str, Sequence[float | str | None]]
"""Metric → its value for each epoch; None, an empty text and NaN mean "no value"."""

QUALITY_PANELS: Mapping[str, str] = {
    "mse": "MSE",
    "ssim": "SSIM",
    "psnr": "PSNR [dB]",
    "lpips": "LPIPS",
}
"""The metrics of the first row, and their titles."""
OBJECTIVE_PANELS: Mapping[str, str] = {
    "elbo": "ELBO [nats]",
    "nll": "NLL [nats]",
    "kl": "KL [nats]",
    "adversarial": "Adversarial",
    "discriminator": "Discriminator",
}
"""The metrics of the second row: the parts of the objective."""

_ROW_HEIGHT = 300
_HEADER, _FOOTER = 52, 20
# The title of a panel, and the line below it that holds the last value of a single run.
_TITLE_HEIGHT, _LAST_HEIGHT = 34, 20


@dataclass(frozen=True)
class _Series:
    name: str
    epochs: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]


def metric_curves(
    epochs: Sequence[int], metrics: Metrics, *, title: str = "Metrics by epoch", width: int = PLOT_WIDTH
) -> Picture:
    """The curves of one run: reconstruction quality in the first row, the objective's parts in the second.

    Args:
        epochs: the number of each epoch.
        metrics: name → one value for each epoch. Known names are those of ``QUALITY_PANELS`` and
            ``OBJECTIVE_PANELS``; others are left out, so that the whole log of a run can be passed. A metric
            without a finite value has no panel.
        title: above the panels.
        width: width of the picture, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: if a metric does not have one value for each epoch.
    """
    return _draw([_series("", epochs, metrics)], title, width)


def compare_curves(
    runs: Mapping[str, tuple[Sequence[int], Metrics]],
    *,
    title: str = "Runs by epoch",
    width: int = PLOT_WIDTH,
) -> Picture:
    """``metric_curves`` of several runs over one another, each in its colour; a legend names them.

    Args:
        runs: name of the run → its (epochs, metrics).

    Raises:
        InputError: if a metric of a run does not have one value for each epoch.
    """
    return _draw([_series(name, epochs, metrics) for name, (epochs, metrics) in runs.items()], title, width)


def _draw(runs: Sequence[_Series], title: str, width: int) -> Picture:
    rows = [
        {name: label for name, label in panels.items() if any(name in run.values for run in runs)}
        for panels in (QUALITY_PANELS, OBJECTIVE_PANELS)
    ]
    rows = [row for row in rows if row]
    names = [shorten(run.name, LABEL_SIZE, 260) for run in runs if run.name]
    columns = int((width - 40) // (max((text_width(name, LABEL_SIZE) for name in names), default=0) + 70))
    header = _HEADER + 22 * -(-len(names) // columns)
    last_height = _LAST_HEIGHT if len(runs) == 1 else 0
    row_height = _ROW_HEIGHT + last_height
    height = header + row_height * max(len(rows), 1) + _FOOTER
    figure = new_figure(width, height)
    add_title(figure, title, left=24, top=16, width=width - 48)
    if names:
        _add_legend(figure, names, columns)
    longest = max((len(row) for row in rows), default=0)
    if not rows:
        middle = header + row_height / 2
        add_text(
            figure,
            "No finite value of a known metric yet",
            width / 2,
            middle,
            colour=SOFT_INK,
            horizontal="center",
        )
    for index, row in enumerate(rows):
        # A single metric does not stretch over the whole width if other rows have more panels.
        pitch = (width - 24) / max(len(row), min(longest, 3))
        top = header + index * row_height
        for column, (name, label) in enumerate(row.items()):
            # Left room for tick labels, above for the title, below for the axis name.
            left, panel_width, panel_height = column * pitch + 72, pitch - 88, _ROW_HEIGHT - 92
            bottom = height - (top + _TITLE_HEIGHT + last_height + panel_height)
            axes = figure.add_axes((left / width, bottom / height, panel_width / width, panel_height / height))
            _draw_panel(axes, name, label, runs, panel_width)
    return render(figure)


def _draw_panel(axes: Axes, name: str, label: str, runs: Sequence[_Series], width: float) -> None:
    style_axes(axes)
    shown = [(_colour(index), run) for index, run in enumerate(runs) if name in run.values]
    for colour, run in shown:
        # A marker for each epoch: a single epoch, or one between two gaps, has no line to be seen by.
        marker = 4.5 if len(run.epochs) <= 40 else 2.0
        axes.plot(
            run.epochs,
            run.values[name],
            color=colour,
            linewidth=1.8,
            marker="o",
            markersize=marker,
            clip_on=False,
        )
    # Fixed heights, because Matplotlib would move a title above the axis exponent, which is on the left here.
    gap = 8.0
    if len(runs) == 1:
        values = shown[0][1].values[name]
        last = f"last {_short(values[np.isfinite(values)][-1])}"
        axes.annotate(
            last,
            (0, 1),
            (0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=TICK_SIZE,
            color=SOFT_INK,
        )
        gap += _LAST_HEIGHT * 72 / DPI
    axes.set_title(label, fontsize=LABEL_SIZE + 0.5, color=INK, loc="left", fontweight="bold", y=1, pad=gap)
    numbers = np.concatenate([run.epochs for run in runs])
    first, final = int(numbers.min()), int(numbers.max())
    margin = max((final - first) * 0.03, 0.02 if final > first else 0.5)
    axes.set_xlim(first - margin, final + margin)
    axes.margins(y=0.08)
    ticks = max(3, int(width // 45))
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    plain = ScalarFormatter(useOffset=False)
    plain.set_powerlimits((-4, 7))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.get_offset_text().set(fontsize=TICK_SIZE, color=SOFT_INK, x=-0.02, horizontalalignment="right")
    axes.set_xlabel("epoch")


def _add_legend(figure: Figure, names: Sequence[str], columns: int) -> None:
    height = figure.get_figheight() * figure.dpi
    handles = [
        Line2D([], [], color=_colour(index), linewidth=1.8, marker="o", markersize=4.5, label=name)
        for index, name in enumerate(names)
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.012, 1 - 40 / height),
        ncols=columns,
        frameon=False,
        fontsize=LABEL_SIZE,
        labelcolor=INK,
        borderaxespad=0,
    )


def _colour(index: int) -> str:
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def _series(name: str, epochs: Sequence[int], metrics: Metrics) -> _Series:
    known = {}
    for metric in (*QUALITY_PANELS, *OBJECTIVE_PANELS):
        if metric not in metrics:
            continue
        values = np.array([float("nan") if value in (None, "") else float(value) for value in metrics[metric]])
        if len(values) != len(epochs):
            raise InputError(f"{metric}: expected one value for each of {len(epochs)} epochs, got {len(values)}")
        # Infinities cannot be drawn; a gap can.
        values[~np.isfinite(values)] = np.nan
        if np.isfinite(values).any():
            known[metric] = values
    return _Series(name, np.asarray(epochs, np.int64), known)


def _short(value: float) -> str:
    return (f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}").replace("-", "−")
