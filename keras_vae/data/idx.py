"""MNIST's IDX files, plain or gzipped: a big-endian header with magic number and dimensions, then bytes.

Format: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "File formats".
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_vae.data.dataset import ArraySplit, ImageDataset, Int32Array, UInt8Array
from keras_vae.errors import InputError

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def load_idx(directory: str | os.PathLike[str], memory_limit: int) -> ImageDataset:
    """Read ``{train,t10k}-images-idx3-ubyte`` and, if present, ``{train,t10k}-labels-idx1-ubyte``.

    Each name may end in ``.gz`` and may have a dot before ``idx``.

    Raises:
        InputError: when a file is missing, contradicts its header, or has more than ``memory_limit`` bytes of pixels.
    """
    folder = Path(directory).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory; give the directory of the IDX files as idx:DIR")
    train, test = (_load_split(folder, prefix, memory_limit) for prefix in ("train", "t10k"))
    labels = [split.labels for split in (train, test) if split.labels is not None]
    return ImageDataset(
        name=folder.resolve().name,
        source="idx",
        train=train,
        test=test,
        class_names=tuple(str(i) for i in range(int(np.concatenate(labels).max()) + 1)) if labels else None,
    )


def read_idx(path: Path, dimensions: int, memory_limit: int) -> UInt8Array:
    """Read the uint8 array in an IDX file with this number of dimensions.

    Memory use is bounded by the bytes that the file holds, whatever its header claims.

    Raises:
        InputError: when the file cannot be read or breaks the format; the message names it.
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if is_gzip:
                with gzip.GzipFile(fileobj=file) as unzipped:
                    return _parse(unzipped, path, dimensions, memory_limit)
            return _parse(file, path, dimensions, memory_limit)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch the file again") from error


def _load_split(folder: Path, prefix: str, memory_limit: int) -> ArraySplit:
    images_path = _find(folder, prefix, "images", 3)
    if images_path is None:
        raise InputError(f"{folder}: has no {prefix}-images-idx3-ubyte or {prefix}-images-idx3-ubyte.gz")
    images = read_idx(images_path, 3, memory_limit)
    if images.size == 0:
        raise InputError(f"{images_path}: holds no images (dimensions {images.shape})")
    labels: Int32Array | None = None
    labels_path = _find(folder, prefix, "labels", 1)
    if labels_path is not None:
        labels = read_idx(labels_path, 1, memory_limit).astype(np.int32)
        if len(labels) != len(images):
            raise InputError(f"{labels_path}: has {len(labels)} labels for {len(images)} images in {images_path.name}")
    return ArraySplit(images[..., np.newaxis], labels)


def _find(folder: Path, prefix: str, kind: str, dimensions: int) -> Path | None:
    names = [f"{prefix}-{kind}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _parse(file: BinaryIO | gzip.GzipFile, path: Path, dimensions: int, memory_limit: int) -> UInt8Array:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise InputError(f"{path}: ends within its header; fetch the file again")
    zero, dtype, found = struct.unpack_from(">HBB", header)
    if zero != 0 or dtype != _UNSIGNED_BYTE or found != dimensions:
        raise InputError(
            f"{path}: is not an IDX file of {dimensions}-dimensional unsigned bytes "
            f"(magic number 0x{header[:4].hex()}, expected 0x0000{_UNSIGNED_BYTE:02x}{dimensions:02x})"
        )
    shape = struct.unpack_from(f">{dimensions}I", header, 4)
    size = math.prod(shape)
    if size > memory_limit:
        raise InputError(f"{path}: announces {size} bytes {shape}, more than the memory limit of {memory_limit}")
    data = _read_up_to(file, size + 1)  # one more byte detects trailing bytes and lets gzip verify its checksum
    if len(data) != size:
        what = "fewer" if len(data) < size else "more"
        raise InputError(f"{path}: holds {what} than the {size} bytes that its header announces; fetch the file again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_up_to(file: BinaryIO | gzip.GzipFile, size: int) -> bytearray:
    """Read at most ``size`` bytes in chunks; a single read would allocate whatever the header claims."""
    data = bytearray()
    while len(data) < size and (chunk := file.read(min(_CHUNK, size - len(data)))):
        data += chunk
    return data
