"""One image file, of any size and kind, to pixels of one shape."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from keras_vae.data.dataset import UInt8Array
from keras_vae.data.framing import Framing
from keras_vae.errors import InputError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
# What Pillow may take a file for, whatever its name: its other decoders are for rarer and riskier formats.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_WHITE = (255, 255, 255, 255)
# JPEGs are decoded at a fraction of their size where that leaves at least so many times the pixels wanted a side.
_DRAFT = 2


def read_image(path: Path, framing: Framing) -> UInt8Array:
    """The pixels of a PNG, JPEG, BMP, WebP or GIF (its first frame): uint8 (H, W, C).

    Turned as its EXIF says, transparent parts over white, resized with antialiasing (Lanczos).

    Raises:
        InputError: when there is no such file, it is no such image, it is damaged or it is too large; the message
            begins with its path.
    """
    try:
        # Pillow warns of what is large before it refuses it; the size is checked here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                _check_size(path, image.size, framing.max_pixels)
                return _framed(_upright(image, framing), framing)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image file") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: announces more pixels than are safe to decode; make it smaller") from error
    # Decoders say what is wrong with a damaged file in all these ways.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, OverflowError) as error:
        detail = " ".join(str(error).split()).replace(f"{str(path)!r}", "").strip()
        raise InputError(f"{path}: cannot be read as PNG, JPEG, BMP, GIF or WebP ({detail})") from error


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{path}: is {width}×{height}, more than the {max_pixels:,} pixels of --max-pixels; make it smaller"
        )


def _upright(image: Image.Image, framing: Framing) -> Image.Image:
    """Grey or RGB, as it is to be looked at."""
    mode = "L" if framing.shape[2] == 1 else "RGB"
    # Only JPEGs have a draft: they are decoded at 1/2, 1/4 or 1/8, many times as fast.
    side = _DRAFT * max(framing.shape[:2])
    image.draft(mode, (side, side))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel, which converting would cut off at 255
        image = Image.fromarray((np.asarray(image, np.float32) / 257).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image.convert("RGBA"))
    return image.convert(mode)


def _framed(image: Image.Image, framing: Framing) -> UInt8Array:
    height, width, _ = framing.shape
    size, resample = (width, height), Image.Resampling.LANCZOS
    if framing.fit == "crop":
        image = ImageOps.fit(image, size, resample)
    elif framing.fit == "pad":
        image = ImageOps.pad(image, size, resample, color="black")
    elif image.size != size:
        image = image.resize(size, resample)
    return np.asarray(image, np.uint8).reshape(framing.shape)
