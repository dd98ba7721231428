"""Pictures into PNG and GIF files, written beside the target and renamed, so that nobody reads half a picture."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from keras_vae.errors import InputError
from keras_vae.files import written_beside
from keras_vae.visualize.style import Picture

# Browsers slow a frame down to 0.1 s when it asks for less than this.
_SHORTEST_FRAME = 0.02


def write_png(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture, uint8 RGB (H, W, 3), as a PNG; an existing file is replaced in one step.

    Raises:
        InputError: if the array is not such a picture.
        OSError: if the directory does not exist or cannot be written; nothing is left behind.
    """
    image = Image.fromarray(_checked(picture))
    with written_beside(Path(path)) as beside:
        image.save(beside, format="PNG", optimize=True)


def write_gif(
    path: str | os.PathLike[str],
    frames: Iterable[Picture],
    *,
    seconds_per_frame: float = 0.5,
    hold_last: float = 2.0,
    colours: int = 256,
    dithers: bool = False,
) -> None:
    """Write frames as a GIF that loops for ever; an existing file is replaced in one step.

    All frames share one palette, so that colours do not flicker. Consecutive equal frames are stored once and
    shown for the sum of their times, as GIF writers do.

    Args:
        path: the file to write.
        frames: uint8 RGB (H, W, 3), all of one size, at least one.
        seconds_per_frame: how long each frame is shown; multiples of 0.01 s, at least 0.02.
        hold_last: how long the last frame is shown, seconds.
        colours: size of the palette, 2 to 256; fewer colours, smaller file.
        dithers: mix neighbouring pixels where the palette lacks a colour; for photographs, not for plots.

    Raises:
        InputError: without frames, with frames of several sizes, or a number out of range.
        OSError: if the directory does not exist or cannot be written; nothing is left behind.
    """
    pictures = [_checked(frame) for frame in frames]
    if not pictures:
        raise InputError(f"{os.fspath(path)}: a GIF needs at least one frame")
    if len({picture.shape for picture in pictures}) > 1:
        sizes = sorted({picture.shape[:2] for picture in pictures})
        raise InputError(f"{os.fspath(path)}: all frames must have one size, got {sizes}")
    if min(seconds_per_frame, hold_last) < _SHORTEST_FRAME:
        raise InputError(
            f"seconds_per_frame and hold_last must be at least {_SHORTEST_FRAME}, "
            f"got {seconds_per_frame} and {hold_last}"
        )
    if not 2 <= colours <= 256:
        raise InputError(f"colours must be 2 to 256, got {colours}")
    palette = _common_palette(pictures, colours)
    if dithers:
        images = [_dithered(picture, palette) for picture in pictures]
    else:
        nearest = _nearest_entries(palette)
        images = [_undithered(picture, palette, nearest) for picture in pictures]
    durations = [round(seconds_per_frame * 100) * 10] * (len(images) - 1) + [round(hold_last * 100) * 10]
    with written_beside(Path(path)) as beside:
        images[0].save(
            beside,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
            optimize=False,
            # Named once for the whole file; without it Pillow repeats the palette in every frame.
            palette=palette.tobytes(),
        )


def _common_palette(pictures: list[Picture], colours: int) -> NDArray[np.uint8]:
    """A palette for all frames, from up to 12 of them spread over the run.

    The colours that occur most (the page, the grid, full class colours, black and white of digits) are kept
    as they are; the rest covers all other colours evenly, so that rare hues are not lost.
    """
    chosen = np.unique(np.linspace(0, len(pictures) - 1, 12).round().astype(int))
    pixels = np.concatenate([pictures[index].reshape(-1, 3) for index in chosen])
    counts = np.bincount(_packed(pixels), minlength=1 << 24)
    values = np.flatnonzero(counts).astype(np.uint32)
    counts = counts[values]
    by_count = np.argsort(-counts, kind="stable")
    kept, rest = by_count[: colours // 8], by_count[colours // 8 :]
    palette = _unpacked(values[kept])
    if len(rest):
        cover = Image.fromarray(_unpacked(values[rest])[None]).quantize(
            colours - len(kept), method=Image.Quantize.MAXCOVERAGE
        )
        shades = np.array(cover.getpalette(), np.uint8).reshape(-1, 3)
        palette = np.concatenate([palette, shades[: colours - len(kept)]])
    return palette


def _nearest_entries(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The index of the palette's nearest colour for each of the 2²⁴ colours.

    It is computed for the centre of every cell of 4 × 4 × 4 colours; the palette's own colours are exact.
    (Pillow's search is approximate for those too: it turns a white page light grey.)
    """
    middles = np.arange(64) * 4 + 1.5
    cells = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    entries = cKDTree(palette).query(cells)[1].astype(np.uint8)
    for axis in range(3):
        entries = entries.repeat(4, axis=axis)
    entries = entries.reshape(-1)
    entries[_packed(palette)] = np.arange(len(palette))
    return entries


def _undithered(picture: Picture, palette: NDArray[np.uint8], nearest: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(nearest[_packed(picture.reshape(-1, 3))].reshape(picture.shape[:2]))
    image.putpalette(palette.tobytes())
    return image


def _dithered(picture: Picture, palette: NDArray[np.uint8]) -> Image.Image:
    holder = Image.new("P", (1, 1))
    holder.putpalette(palette.tobytes())
    return Image.fromarray(picture).quantize(palette=holder, dither=Image.Dither.FLOYDSTEINBERG)


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """uint8 (N, 3) as 24-bit colours (N,)."""
    red, green, blue = pixels.astype(np.uint32).T
    return red << 16 | green << 8 | blue


def _unpacked(colours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """24-bit colours (N,) as uint8 (N, 3)."""
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1).astype(np.uint8)


def _checked(picture: Picture) -> Picture:
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3 or 0 in array.shape:
        raise InputError(f"a picture is uint8 of shape (H, W, 3), got {array.dtype} of shape {array.shape}")
    return np.ascontiguousarray(array)
