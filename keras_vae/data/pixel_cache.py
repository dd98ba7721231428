"""Decoded pixels of image files, kept in one file on disk, image after image."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import PIL

from keras_vae.data.dataset import UInt8Array
from keras_vae.data.framing import Framing
from keras_vae.errors import InputError
from keras_vae.files import write_text, written_beside


@dataclass(frozen=True)
class Decoded:
    """The outcome of decoding a list of files.

    Args:
        readable: rows of the list that could be read, in order.
        unreadable: the error of each other file; each begins with the path.
        sha256: `Fingerprint` of the pixels.
        sizes: height and width of each readable image, if they vary.
    """

    readable: tuple[int, ...]
    unreadable: tuple[str, ...]
    sha256: str
    sizes: tuple[tuple[int, int], ...] = ()


class PixelFile:
    """Images of one shape in a file. Any thread can read them by number."""

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._path, self._shape = path, shape
        self._file = path.open("rb")

    def read(self, numbers: npt.NDArray[np.int64]) -> UInt8Array:
        """The images with these numbers, uint8 (N, H, W, C).

        Raises:
            InputError: when the file is too short.
        """
        size = math.prod(self._shape)
        data = [os.pread(self._file.fileno(), size, int(number) * size) for number in numbers]
        if any(len(image) != size for image in data):
            raise _too_short(self._path)
        return np.frombuffer(b"".join(data), np.uint8).reshape(-1, *self._shape)


def mapped(path: Path, sizes: Sequence[tuple[int, int]], channels: int) -> list[UInt8Array]:
    """The images in a file, uint8 (h, w, C), of these heights and widths.

    They stay on disk: the system reads the parts that are looked at, and keeps them while memory is free.

    Raises:
        InputError: when the file is too short.
    """
    ends = np.cumsum([height * width * channels for height, width in sizes], dtype=np.int64)
    if not len(ends):
        return []
    if path.stat().st_size < ends[-1]:
        raise _too_short(path)
    pixels = np.asarray(np.memmap(path, np.uint8, "r"))
    images = np.split(pixels[: ends[-1]], ends[:-1])
    return [image.reshape(*size, channels) for image, size in zip(images, sizes, strict=True)]


def _too_short(path: Path) -> InputError:
    return InputError(f"{path}: ends too early; remove it to have it made again")


class PixelCache:
    """A folder of pixel files, each named after a hash of the image files and settings that it was made from.

    The size and modification time of the image files are part of the hash, so that changed files are decoded again.
    """

    def __init__(self, folder: Path, paths: tuple[Path, ...], framing: Framing) -> None:
        status = [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in map(Path.absolute, paths)]
        made_from = json.dumps([status, asdict(framing), PIL.__version__])
        name = hashlib.sha256(made_from.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._description, self.pixels = folder / f"{name}.json", folder / f"{name}.pixels"

    def find(self) -> Decoded | None:
        """The outcome that an earlier run wrote, or None.

        Raises:
            InputError: when it is damaged.
        """
        if not self._description.is_file() or not self.pixels.is_file():
            return None
        try:
            values = json.loads(self._description.read_text(encoding="utf-8"))
            # Earlier runs kept images of one size only.
            sizes = tuple((int(height), int(width)) for height, width in values.get("sizes", ()))
            return Decoded(tuple(values["readable"]), tuple(values["unreadable"]), values["sha256"], sizes)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._description}: is damaged ({error}); remove it to have it made again") from error

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """A file for pixels, which gets its final name when the block ends. Call `describe` to make it valid.

        Raises:
            InputError: when the folder cannot be written.
        """
        try:
            self.pixels.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(self.pixels) as beside, beside.open("wb") as file:
                yield file
        except OSError as error:
            raise InputError(f"{self.pixels.parent}: cannot be written ({error.strerror or error})") from error

    def describe(self, decoded: Decoded) -> None:
        """Write the outcome."""
        write_text(self._description, json.dumps(asdict(decoded)))
