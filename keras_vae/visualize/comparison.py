"""Pictures and animations of several runs side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.visualize.style import Picture, add_text, new_figure, render, shorten

# A name is larger than the titles inside the pictures, because it is their heading.
_NAME_SIZE = 15.0
_NAME_HEIGHT, _NAME_LEFT = 44, 16


def scaled(picture: Picture, width: int) -> Picture:
    """A picture, uint8 RGB (H, W, 3), reduced to at most ``width`` pixels."""
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def beside(
    pictures: Sequence[Picture], *, names: Sequence[str] = (), columns: int | None = None, gap: int = 16
) -> Picture:
    """Pictures from left to right on a white page, aligned at the top.

    Args:
        pictures: uint8 RGB (H, W, 3), of any sizes, at least one.
        names: a heading above each, shortened to the picture's width; or empty.
        columns: pictures in a row. Default: all of them.
        gap: white pixels between two of them.

    Raises:
        InputError: without pictures, with another number of names, or ``columns`` below 1.
    """
    return frames_beside([[picture] for picture in pictures], names=names, columns=columns, gap=gap)[0]


def frames_beside(
    animations: Sequence[Sequence[Picture]],
    *,
    names: Sequence[str] = (),
    columns: int | None = None,
    gap: int = 16,
) -> list[Picture]:
    """Animations side by side, frame by frame; a shorter one stops at its last frame.

    Args:
        animations: the frames of each, at least one; within an animation all of one size.
        names, columns, gap: as in ``beside``.

    Raises:
        InputError: without animations, with an empty one, or as ``beside``.
    """
    if not animations:
        raise InputError("nothing to set side by side: no pictures were given")
    if not all(animations):
        raise InputError("nothing to set side by side: every animation needs at least one frame")
    if names and len(names) != len(animations):
        raise InputError(f"one name belongs to a picture, got {len(names)} for {len(animations)}")
    columns = len(animations) if columns is None else columns
    if columns < 1:
        raise InputError(f"columns must be at least 1, got {columns}")
    above = _NAME_HEIGHT if names else 0
    sizes = [frames[0].shape[:2] for frames in animations]
    widths = [max(width for _, width in sizes[column::columns]) for column in range(min(columns, len(sizes)))]
    heights = [
        above + max(height for height, _ in sizes[start : start + columns]) for start in range(0, len(sizes), columns)
    ]
    places = [
        (sum(heights[: index // columns]) + gap * (index // columns), sum(widths[:column]) + gap * column)
        for index in range(len(sizes))
        for column in (index % columns,)
    ]
    page = np.full((sum(heights) + gap * (len(heights) - 1), sum(widths) + gap * (len(widths) - 1), 3), 255, np.uint8)
    for name, (top, left), (_, width) in zip(names, places, sizes, strict=False):
        page[top : top + above, left : left + width] = _heading(name, width)
    return [
        _filled(page, [frames[min(index, len(frames) - 1)] for frames in animations], places, above)
        for index in range(max(len(frames) for frames in animations))
    ]


def _filled(page: Picture, pictures: Sequence[Picture], places: Sequence[tuple[int, int]], above: int) -> Picture:
    """A copy of the page with each picture below its heading."""
    filled = page.copy()
    for picture, (top, left) in zip(pictures, places, strict=True):
        height, width = picture.shape[:2]
        filled[top + above : top + above + height, left : left + width] = picture
    return filled


def _heading(name: str, width: int) -> Picture:
    figure = new_figure(width, _NAME_HEIGHT)
    text = shorten(name, _NAME_SIZE, width - 2 * _NAME_LEFT, is_bold=True)
    add_text(figure, text, _NAME_LEFT, _NAME_HEIGHT * 0.55, size=_NAME_SIZE, weight="bold")
    return render(figure)
