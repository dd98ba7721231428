"""The shared look of every picture: colours, sizes, text that fits, figures without pyplot's global state."""

from __future__ import annotations

import threading
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = NDArray[np.uint8]
"""What every drawing function returns: uint8 RGB, (H, W, 3)."""

DPI = 100
FRAME_WIDTH = 720
"""Width in pixels that a GIF frame aims at."""
PLOT_WIDTH = 1400
"""Width in pixels that a PNG plot aims at."""

PAPER = "#ffffff"
INK = "#1f2933"
SOFT_INK = "#5b6770"
GRID = "#e4e7eb"

TITLE_SIZE = 13.0
LABEL_SIZE = 10.5
TICK_SIZE = 9.5
SMALLEST_SIZE = 8.0

# The seven hues of Okabe and Ito 2008 ("Color Universal Design") and three dark ones, chosen so that the
# closest pair stays apart (CIEDE2000 > 10) in normal vision, protanopia and deuteranopia; a test measures it.
CLASS_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#f0e442",
    "#332288",
    "#222222",
    "#882200",
)

# Matplotlib shares its font caches between figures, so only one thread draws at a time.
_drawing = threading.RLock()


def new_figure(width: int, height: int) -> Figure:
    """An empty white figure of ``width`` × ``height`` pixels with its own Agg canvas."""
    # Deferred, here and below: training imports this module, and begins without Matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def render(figure: Figure) -> Picture:
    """Draw the figure: uint8 RGB, (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _drawing:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3].copy()


def style_axes(axes: Axes) -> None:
    """Two quiet spines, a light grid behind the data, the library's text sizes and ink."""
    axes.set_axisbelow(True)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.tick_params(colors=SOFT_INK, labelsize=TICK_SIZE, length=3, color=GRID)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#b6bec6")
    axes.xaxis.label.set(color=INK, fontsize=LABEL_SIZE)
    axes.yaxis.label.set(color=INK, fontsize=LABEL_SIZE)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Width of one line of text in pixels at ``size`` points."""
    with _drawing:
        figure = new_figure(10, 10)
        drawn = figure.text(0, 0, text, fontsize=size, fontweight="bold" if is_bold else "normal", parse_math=False)
        return float(drawn.get_window_extent().width)


def shorten(text: str, size: float, width: float, *, is_bold: bool = False) -> str:
    """The text itself where it fits into ``width`` pixels, else its beginning and an ellipsis."""
    if text_width(text, size, is_bold=is_bold) <= width:
        return text
    # The longest beginning that fits: its width grows with its length, so bisection finds it.
    kept = bisect_right(
        range(len(text)), width, key=lambda length: text_width(f"{text[:length]}…", size, is_bold=is_bold)
    )
    return f"{text[: max(kept - 1, 0)].rstrip()}…"


def add_title(figure: Figure, text: str, *, left: float, top: float, width: float) -> None:
    """A bold title, ``left`` and ``top`` pixels from the corner, made smaller until ``width`` holds it."""
    size = TITLE_SIZE
    while size > SMALLEST_SIZE and text_width(text, size, is_bold=True) > width:
        size -= 0.5
    add_text(figure, shorten(text, size, width, is_bold=True), left, top, size=size, weight="bold", vertical="top")


def add_text(
    figure: Figure,
    text: str,
    left: float,
    top: float,
    *,
    size: float = LABEL_SIZE,
    colour: str = INK,
    weight: str = "normal",
    horizontal: str = "left",
    vertical: str = "center",
    rotation: float = 0.0,
) -> None:
    """Text at a position in pixels from the figure's left upper corner."""
    width, height = figure.get_size_inches() * figure.dpi
    figure.text(
        left / width,
        1 - top / height,
        text,
        fontsize=size,
        color=colour,
        fontweight=weight,
        ha=horizontal,
        va=vertical,
        rotation=rotation,
        rotation_mode="anchor" if rotation else None,
        parse_math=False,
    )


def signed(value: float, digits: int = 2) -> str:
    """A number with a true minus sign and no ``-0.00``: for labels."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def latent_name(dimension: int) -> str:
    """``z₀``, ``z₁`` …: counted from 0, so that the name in the picture is the index to type."""
    return "z" + str(dimension).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
