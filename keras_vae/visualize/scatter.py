"""Points coloured by class on an axes: markers, legend, colour bar."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, to_rgba_array
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from keras_vae.errors import InputError
from keras_vae.visualize.projection import Points
from keras_vae.visualize.style import CLASS_COLOURS, INK, LABEL_SIZE, SOFT_INK, TICK_SIZE, shorten

Classes = NDArray[np.int64]

_LONGEST_NAME = 150


def draw_points(axes: Axes, points: Points, classes: Classes | None) -> ScalarMappable | None:
    """Draw the points. Returns the input of a colour bar if classes are on a continuous scale, else None."""
    # In a random order, so that the class drawn last does not cover the others.
    order = np.random.default_rng(0).permutation(len(points))
    drawn: dict[str, Any] = {
        "s": 13 if len(points) > 1500 else 20,
        "alpha": 0.65 if len(points) > 1500 else 0.8,
        "linewidths": 0,
        "zorder": 2,
    }
    if classes is None:
        axes.scatter(points[order, 0], points[order, 1], color=CLASS_COLOURS[0], **drawn)
        return None
    count = int(classes.max(initial=0)) + 1
    if count > 2 * len(CLASS_COLOURS):
        scale = BoundaryNorm(np.arange(count + 1) - 0.5, 256 if count <= 256 else count)
        colours = matplotlib.colormaps["viridis"].resampled(max(256, count))
        return axes.scatter(points[order, 0], points[order, 1], c=classes[order], cmap=colours, norm=scale, **drawn)
    palette = to_rgba_array(CLASS_COLOURS)
    for marker in ("o", "^"):
        chosen = order[(classes[order] >= len(CLASS_COLOURS)) == (marker == "^")]
        colour = palette[classes[chosen] % len(CLASS_COLOURS)]
        axes.scatter(points[chosen, 0], points[chosen, 1], c=colour, marker=marker, **drawn)
    return None


def draw_colour_bar(axes: Axes, mapped: ScalarMappable) -> None:
    """The colour scale for many classes, on its own axes."""
    bar = axes.figure.colorbar(mapped, cax=axes, ticks=MaxNLocator(8, integer=True))
    bar.outline.set_visible(False)
    bar.minorticks_off()
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    axes.tick_params(labelsize=TICK_SIZE, colors=SOFT_INK, length=3)
    axes.set_title("class", fontsize=TICK_SIZE, color=INK, loc="left")


def class_legend(classes: Classes | None, names: Sequence[str] | None) -> list[Line2D]:
    """A handle for each class that occurs; empty without classes, or if there is a colour bar instead."""
    if classes is None or classes.max(initial=0) >= 2 * len(CLASS_COLOURS):
        return []
    return [
        _handle(
            shorten(str(label) if names is None else names[label], LABEL_SIZE, _LONGEST_NAME),
            CLASS_COLOURS[label % len(CLASS_COLOURS)],
            "o" if label < len(CLASS_COLOURS) else "^",
        )
        for label in np.unique(classes)
    ]


def checked_labels(labels: ArrayLike | None, count: int, names: Sequence[str] | None) -> Classes | None:
    """``labels`` as int64 (count,), or None.

    Raises:
        InputError: if they are not ``count`` integers from 0, or one has no name.
    """
    if labels is None:
        return None
    classes = np.asarray(labels)
    if classes.shape != (count,) or not np.issubdtype(classes.dtype, np.integer):
        raise InputError(f"labels: expected {count} integers, got {classes.dtype} of shape {classes.shape}")
    if count and classes.min() < 0:
        raise InputError(f"labels must be 0 or more, got {classes.min()}")
    if count and names is not None and classes.max() >= len(names):
        raise InputError(f"label {classes.max()} has no name: {len(names)} class names were given")
    return classes.astype(np.int64)


def _handle(name: str, colour: str, marker: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, markersize=8, color=colour, markeredgewidth=0, label=name)
