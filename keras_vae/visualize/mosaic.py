"""A table of small images as one picture: exact pixels, thin gaps, a title, names of rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.visualize.style import (
    SOFT_INK,
    TICK_SIZE,
    Picture,
    add_text,
    add_title,
    new_figure,
    render,
    text_width,
)

MARGIN = 16
_TITLE_HEIGHT = 30
_NAME_HEIGHT = 22
_LARGEST_HEIGHT = 1500
_SMALLEST_WIDTH = 420
# Makes a diverged model obvious: no digit is magenta.
_NOT_FINITE = (255, 0, 255)


def as_rgb(images: ArrayLike, name: str = "images") -> NDArray[np.uint8]:
    """Images as uint8 RGB.

    Args:
        images: (..., H, W, C), C of 1 or 3; float in [0, 1] (clipped; pixels that are not finite become
            magenta) or uint8.
        name: what to call them in a message.

    Returns:
        uint8, (..., H, W, 3).

    Raises:
        InputError: for another shape or dtype.
    """
    pixels = np.asarray(images)
    if pixels.ndim < 3 or pixels.shape[-1] not in (1, 3) or 0 in pixels.shape:
        raise InputError(f"{name}: expected non-empty images of shape (…, H, W, 1 or 3), got {pixels.shape}")
    if np.issubdtype(pixels.dtype, np.floating):
        broken = ~np.isfinite(pixels).all(axis=-1)
        scaled = np.rint(np.clip(np.nan_to_num(pixels.astype(np.float32)), 0, 1) * 255).astype(np.uint8)
    elif pixels.dtype == np.uint8:
        broken = np.zeros(pixels.shape[:-1], bool)
        scaled = pixels
    else:
        raise InputError(f"{name}: expected float in [0, 1] or uint8, got {pixels.dtype}")
    rgb = np.array(np.broadcast_to(scaled, (*pixels.shape[:-1], 3)))
    rgb[broken] = _NOT_FINITE
    return rgb


def image_batch(images: ArrayLike, name: str, axes: int = 4) -> NDArray[np.uint8]:
    """``as_rgb`` with the number of axes checked: 4 for (N, H, W, C), 5 for (N, steps, H, W, C)."""
    rgb = as_rgb(images, name)
    if rgb.ndim != axes:
        expected = "(N, H, W, C)" if axes == 4 else "(N, steps, H, W, C)"
        raise InputError(f"{name}: expected shape {expected}, got {np.asarray(images).shape}")
    return rgb


def resize_tiles(tiles: NDArray[np.uint8], width: float, height: float) -> NDArray[np.uint8]:
    """Bring tiles (..., h, w, 3) near ``width`` × ``height`` pixels each.

    Small images grow by a whole factor with nearest neighbour, so that every pixel stays a crisp square;
    images much larger than their place are averaged down.
    """
    *_, tile_height, tile_width, _ = tiles.shape
    ratio = min(width / tile_width, height / tile_height)
    if ratio >= 0.75:
        factor = max(1, round(ratio))
        return tiles.repeat(factor, axis=-3).repeat(factor, axis=-2)
    smaller = (max(1, round(tile_width * ratio)), max(1, round(tile_height * ratio)))
    flat = tiles.reshape(-1, tile_height, tile_width, 3)
    resized = [np.asarray(Image.fromarray(tile).resize(smaller, Image.Resampling.BOX)) for tile in flat]
    return np.stack(resized).reshape(*tiles.shape[:-3], smaller[1], smaller[0], 3)


@dataclass(frozen=True)
class Mosaic:
    """A table of tiles with its title and names; ``draw`` makes the picture.

    Args:
        tiles: uint8 (rows, columns, h, w, 3).
        title: above the table; None for none.
        width: the width in pixels that the table aims at; the picture is about as wide.
        filled: how many tiles exist, in reading order; the other places stay empty. None: all.
        row_names, column_names: a name for each row and column, or empty. If names would touch, some are left
            out at even intervals.
        names_below: column names under the table (an axis) instead of over it (a heading).
        row_axis, column_axis: what the names count, as on the axes of a plot.
        wide_after_rows, wide_after_columns: indices after which the gap is wide.
        gap: the thin gap between tiles, pixels.
    """

    tiles: NDArray[np.uint8]
    title: str | None
    width: int
    filled: int | None = None
    row_names: Sequence[str] = ()
    column_names: Sequence[str] = ()
    names_below: bool = False
    row_axis: str = ""
    column_axis: str = ""
    wide_after_rows: frozenset[int] = field(default_factory=frozenset)
    wide_after_columns: frozenset[int] = field(default_factory=frozenset)
    gap: int = 2

    def draw(self) -> Picture:
        """The picture, uint8 RGB (H, W, 3)."""
        rows, columns = self.tiles.shape[:2]
        tiles = resize_tiles(self.tiles, self.width / columns - self.gap, _LARGEST_HEIGHT / rows - self.gap)
        tile_height, tile_width = tiles.shape[2:4]
        tops = _offsets(rows, tile_height, self.gap, self.wide_after_rows)
        lefts = _offsets(columns, tile_width, self.gap, self.wide_after_columns)
        table_height, table_width = int(tops[-1]) + tile_height, int(lefts[-1]) + tile_width

        names_width = max((text_width(name, TICK_SIZE) for name in self.row_names), default=0.0)
        left = MARGIN + round(names_width + 8 if self.row_names else 0) + (24 if self.row_axis else 0)
        top = MARGIN + (_TITLE_HEIGHT if self.title is not None else 0)
        below = MARGIN + (20 if self.column_axis else 0)
        if self.column_names and self.names_below:
            below += _NAME_HEIGHT - 4
        elif self.column_names:
            top += _NAME_HEIGHT
        width = max(left + table_width + MARGIN, _SMALLEST_WIDTH)
        height = top + table_height + below
        if not self.row_names and not self.row_axis:
            left = (width - table_width) // 2

        figure = new_figure(width, height)
        if self.title is not None:
            add_title(figure, self.title, left=MARGIN, top=MARGIN - 4, width=width - 2 * MARGIN)
        every = _thinning(rows, tile_height + self.gap, 15)
        for name, tile_top in list(zip(self.row_names, tops, strict=True))[::every] if self.row_names else ():
            middle = top + tile_top + tile_height / 2
            add_text(figure, name, left - 8, middle, size=TICK_SIZE, colour=SOFT_INK, horizontal="right")
        if self.column_names:
            widest = max(text_width(name, TICK_SIZE) for name in self.column_names)
            every = _thinning(columns, tile_width + self.gap, widest + 8)
            names_top = top + table_height + 12 if self.names_below else top - 12
            for name, tile_left in list(zip(self.column_names, lefts, strict=True))[::every]:
                middle = left + tile_left + tile_width / 2
                add_text(figure, name, middle, names_top, size=TICK_SIZE, colour=SOFT_INK, horizontal="center")
        if self.column_axis:
            add_text(figure, self.column_axis, left + table_width / 2, height - MARGIN - 2, horizontal="center")
        if self.row_axis:
            middle = top + table_height / 2
            add_text(
                figure,
                self.row_axis,
                MARGIN + 14,
                middle,
                horizontal="center",
                vertical="baseline",
                rotation=90,
            )

        # Pasted after drawing, not drawn by matplotlib: the pixels of a tile are then exactly those of its
        # image.
        picture = render(figure)
        filled = rows * columns if self.filled is None else self.filled
        for index in range(filled):
            row, column = divmod(index, columns)
            y, x = top + int(tops[row]), left + int(lefts[column])
            picture[y : y + tile_height, x : x + tile_width] = tiles[row, column]
        return picture


def in_rows(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """(N, H, W, 3) → (rows, columns, H, W, 3), the last row filled up with black."""
    rows = -(-len(images) // columns)
    table = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    table[: len(images)] = images
    return table.reshape(rows, columns, *images.shape[1:])


def _offsets(count: int, size: int, gap: int, wide_after: frozenset[int]) -> NDArray[np.int64]:
    wide = 14
    steps = [size + (wide if index in wide_after else gap) for index in range(count - 1)]
    return np.concatenate([[0], np.cumsum(steps, dtype=np.int64)]).astype(np.int64)


def _thinning(count: int, pitch: float, needed: float) -> int:
    """Show every n-th name; n divides ``count - 1`` where it can, so that both ends keep theirs."""
    least = max(1, int(np.ceil(needed / pitch)))
    return next((every for every in range(least, 2 * least + 1) if (count - 1) % every == 0), least)
