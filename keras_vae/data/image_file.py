"""Reading an image file of any size and kind into pixels of one shape."""

from __future__ import annotations

import importlib.util
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, features

from keras_vae.data.dataset import UInt8Array
from keras_vae.data.framing import Framing
from keras_vae.errors import InputError

# Pillow reads AVIF from 11.3 on, where it was built with libavif.
_HAS_AVIF = importlib.util.find_spec("PIL.AvifImagePlugin") is not None and features.check("avif")
EXTENSIONS = frozenset(
    {
        *(".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".pjpeg", ".pjp"),
        *((".avif",) if _HAS_AVIF else ()),
    }
)
"""Endings of the files that are read, in lower case."""

_UNREAD = frozenset(
    {
        *(".avif", ".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".jxr"),
        *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2", ".psd", ".xcf", ".svg"),
        *(".ico", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".tga", ".exr", ".hdr", ".dcm"),
    }
)
# The formats that Pillow may detect, whatever the name of the file. Its other decoders are rarer and riskier.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", *(("AVIF",) if _HAS_AVIF else ()))
KINDS = f"PNG, JPEG, BMP, GIF, WebP{', TIFF or AVIF' if _HAS_AVIF else ' or TIFF'}"
"""The formats that are read, in words."""

# The common codecs of libtiff. Others, such as fax and JPEG in TIFF, are rarely needed and more code to trust.
_TIFF_COMPRESSIONS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate"})
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT, _WHITE_IS_ZERO, _UNSIGNED = 258, 262, 339, 0, 1
# Pillow multiplies greys of few bits by these factors, but not the transparent value.
_GREY_SCALES = {"L;2": 85, "L;4": 17}
# Decoders report a damaged file in all these ways.
_DECODER_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError),
    *(TypeError, OverflowError, RuntimeError, struct.error),
)
_WHITE = (255, 255, 255, 255)
# JPEGs are decoded at a fraction of their size if each side keeps at least this many times the wanted pixels.
_DRAFT = 2


def unread_kind(ending: str) -> str | None:
    """The text about image files with this lower-case ending if they are not read; None for any other ending."""
    return f"{ending} (not read; convert them to JPEG or PNG)" if ending in _UNREAD - EXTENSIONS else None


def read_image(path: Path, framing: Framing) -> UInt8Array:
    """The pixels of a PNG, JPEG, BMP, WebP, TIFF, AVIF or GIF file (its first image): uint8 (H, W, C).

    The image is turned as its EXIF data say, put over white where it is transparent, and resized with antialiasing
    (Lanczos). AVIF needs Pillow 11.3. Greys of 16 bits are mapped from 0 … 2^``framing.bit_depth`` - 1 to 0 … 255;
    TIFFs that declare fewer bits, such as 12, are mapped from these.

    Raises:
        InputError: when the file does not exist, is not such an image, is damaged or is too large; the message begins
            with its path.
    """
    with _opened(path, framing) as image:
        return _framed(_upright(image, framing), framing)


def image_size(path: Path, framing: Framing) -> tuple[int, int]:
    """Width and height of an image file, as its header says, before it is rotated.

    Raises:
        InputError: as `read_image`, as far as the header shows it.
    """
    with _opened(path, framing) as image:
        return image.size


@contextmanager
def _opened(path: Path, framing: Framing) -> Iterator[Image.Image]:
    """The file with its header read and checked. Errors of decoding in the block become InputErrors too."""
    try:
        # Pillow warns about large images, which are checked here, and about damaged EXIF data.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                _check(path, image, framing)
                yield image
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image file") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: announces more pixels than are safe to decode; make it smaller") from error
    except InputError:
        raise
    except _DECODER_ERRORS as error:
        detail = " ".join(str(error).split()).replace(f"{str(path)!r}", "").strip()
        raise InputError(f"{path}: cannot be read as {KINDS} ({detail})") from error


def _check(path: Path, image: Image.Image, framing: Framing) -> None:
    """Check the header of a file before its pixels are decoded.

    Raises:
        InputError: when the image is too large, or its kind of pixels is not supported.
    """
    width, height = image.size
    if width * height > framing.max_pixels:
        raise InputError(
            f"{path}: is {width}×{height}, more than the {framing.max_pixels:,} pixels of --max-pixels; make it smaller"
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        compression = image.info.get("compression", "raw")
        if compression not in _TIFF_COMPRESSIONS:
            raise InputError(f"{path}: is a TIFF compressed as {compression}, which is not read; save it as LZW or PNG")
        bits, sample_format = image.tag_v2.get(_BITS_PER_SAMPLE, (1,)), image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,))
        if max(bits) > 16 or set(sample_format) != {_UNSIGNED}:
            raise InputError(
                f"{path}: is a TIFF of signed, floating-point or {max(bits)}-bit values, whose range is unknown; "
                "save it with 8 or 16 unsigned bits"
            )
    if framing.bit_depth != 16 and ";16" in _raw_mode(image) and not image.mode.startswith("I"):
        raise InputError(
            f"{path}: has 16 bits a colour, of which the upper 8 are read; --bit-depth is for grey images alone"
        )


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the packing of pixels in the file: ``L``, ``I;16B``, ``RGB;16N``; empty if unknown."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _upright(image: Image.Image, framing: Framing) -> Image.Image:
    """The image in grey or RGB, rotated as its EXIF data say, with transparency over white."""
    mode = "L" if framing.shape[2] == 1 else "RGB"
    if framing.fit != "whole":
        # Only JPEGs have a draft mode. Decoding at 1/2, 1/4 or 1/8 is many times as fast.
        side = _DRAFT * max(framing.shape[:2])
        image.draft(mode, (side, side))
    _mend_transparent_value(image)
    largest, is_inverted = _range_of(image, framing)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel, which convert() would clip at 255
        image = _to_eight_bits(image, largest, is_inverted=is_inverted)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image.convert("RGBA"))
    return image.convert(mode)


def _mend_transparent_value(image: Image.Image) -> None:
    """Scale a PNG's transparent value, which Pillow leaves as it is in the file, like the pixels."""
    value, packed = image.info.get("transparency"), _raw_mode(image)
    if isinstance(value, int) and packed in _GREY_SCALES:
        image.info["transparency"] = value * _GREY_SCALES[packed]
    elif isinstance(value, tuple) and packed.startswith("RGB;16"):  # whose upper 8 bits are read
        image.info["transparency"] = tuple(channel >> 8 for channel in value)


def _range_of(image: Image.Image, framing: Framing) -> tuple[int, bool]:
    """The largest value of greys of more than 8 bits, and whether it is black, as in some TIFFs."""
    bits = framing.bit_depth
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return (1 << bits) - 1, False
    declared = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    is_inverted = image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    return (1 << min(bits, declared)) - 1, is_inverted


def _to_eight_bits(image: Image.Image, largest: int, *, is_inverted: bool) -> Image.Image:
    """Map greys from 0 … ``largest`` to 0 … 255, and the transparent value to white."""
    values = np.asarray(image)
    greys = (values.astype(np.float32) * (255 / largest)).round().clip(0, 255).astype(np.uint8)
    if is_inverted:
        greys = 255 - greys
    transparent = image.info.get("transparency")
    return Image.fromarray(greys if transparent is None else np.where(values == transparent, np.uint8(255), greys))


def _framed(image: Image.Image, framing: Framing) -> UInt8Array:
    height, width, channels = framing.shape
    size, resample = (width, height), Image.Resampling.LANCZOS
    if framing.fit == "crop":
        image = ImageOps.fit(image, size, resample)
    elif framing.fit == "pad":
        image = ImageOps.pad(image, size, resample, color="black")
    elif framing.fit != "whole" and image.size != size:
        image = image.resize(size, resample)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)
