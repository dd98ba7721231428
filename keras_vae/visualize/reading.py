"""PNG and GIF files as pictures, with a limit on the memory that they take."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageSequence

from keras_vae.errors import InputError
from keras_vae.visualize.style import Picture

LARGEST_PIXELS = 50_000_000
"""Pixels of the largest PNG that is read: 7,000 × 7,000."""
LARGEST_FRAME = 5_000_000
"""Pixels of the largest GIF frame that is read; a GIF has many frames."""
MOST_FRAMES = 20_000


def read_png(path: str | os.PathLike[str]) -> Picture:
    """A PNG as uint8 RGB (H, W, 3), on white where it is transparent.

    Raises:
        InputError: if the file is missing, damaged, not a PNG, or larger than ``LARGEST_PIXELS``.
    """
    with _opened(path, "PNG", LARGEST_PIXELS) as image:
        return _rgb(image)


def count_gif_frames(path: str | os.PathLike[str]) -> int:
    """How many frames a GIF has.

    Raises:
        InputError: as ``read_gif``.
    """
    with _opened(path, "GIF", LARGEST_FRAME) as image:
        count = int(getattr(image, "n_frames", 1))
    if count > MOST_FRAMES:
        raise InputError(f"{os.fspath(path)}: has {count:,} frames, at most {MOST_FRAMES:,} are read")
    return count


def read_gif(path: str | os.PathLike[str]) -> Iterator[Picture]:
    """The frames of a GIF one after the other, uint8 RGB (H, W, 3) all of one size, on white where transparent.

    Raises:
        InputError: if the file is missing, damaged, not a GIF, or a frame is larger than ``LARGEST_FRAME``.
    """
    with _opened(path, "GIF", LARGEST_FRAME) as image:
        size = image.size
        for frame in ImageSequence.Iterator(image):
            if frame.size != size:
                raise InputError(f"{os.fspath(path)}: has frames of several sizes, {size} and {frame.size}")
            yield _rgb(frame)


@contextmanager
def _opened(path: str | os.PathLike[str], kind: str, largest: int) -> Iterator[Image.Image]:
    name = os.fspath(path)
    try:
        with Image.open(path, formats=[kind]) as image:
            width, height = image.size
            if width * height > largest:
                raise InputError(
                    f"{name}: a picture of {width:,} × {height:,} pixels is too large, at most {largest:,} are read"
                )
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: is too large a picture ({error})") from error
    # What Pillow raises if a file ends early or has a damaged block.
    except (OSError, SyntaxError, EOFError, IndexError, OverflowError, ValueError, struct.error) as error:
        raise InputError(f"{name}: cannot be read as a {kind} ({error})") from error


def _rgb(image: Image.Image) -> Picture:
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    clear = image.convert("RGBA")
    page = Image.new("RGBA", clear.size, "white")
    page.alpha_composite(clear)
    return np.asarray(page.convert("RGB"))
