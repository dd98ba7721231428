"""Whole photographs, from which squares are cut: in memory, or as pixels on disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_vae.data.dataset import IndexedSplit, Int32Array, UInt8Array
from keras_vae.data.decoding import check_unreadable, decode, decode_through_cache
from keras_vae.data.file_list import FileList
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import image_size
from keras_vae.data.pixel_cache import Decoded, mapped
from keras_vae.data.squares import Crop, random_squares, tiles
from keras_vae.errors import InputError


def cut_photographs(
    folder: Path,
    train: FileList,
    test: FileList,
    framing: Framing,
    crop: Crop,
    *,
    memory_limit: int,
    cache_dir: Path | None,
    strict: bool,
    say: Callable[[str], None],
) -> tuple[IndexedSplit, IndexedSplit]:
    """Random squares of the files to train on, and tiles of those to test on.

    Args:
        folder: the folder of the files.
        train: files to train on.
        test: files to test on.
        framing: channels, bit depth and largest number of pixels; photographs keep their own height and width.
        crop: how to cut.
        memory_limit: up to this many bytes of pixels are kept in memory without a ``cache_dir``; more are refused.
        cache_dir: folder for the pixels of whole photographs, from which squares are then read.
        strict: stop at the first file that is unreadable or smaller than a square.
        say: receives a line for each such file, and one that counts photographs and squares.

    Raises:
        InputError: when there are more pixels than ``memory_limit``, or too many files cannot be used.
    """
    # The shape is not used, and always the same, so that squares of all sizes are cut from the same cached pixels.
    whole = dataclasses.replace(framing, shape=(1, 1, framing.shape[2]), fit="whole")
    if cache_dir is None:
        _check_memory(folder, (*train.paths, *test.paths), whole, memory_limit)
    sides = [_read(files, whole, crop.side, cache_dir, strict=strict) for files in (train, test)]
    check_unreadable(folder, [side.decoded for side in sides], say, why="cannot be cut into squares")
    kept, tested = sides
    squares = random_squares(kept.images, crop, kept.labels, kept.decoded.sha256)
    grid = tiles(tested.images, crop, tested.labels, tested.decoded.sha256)
    say(
        f"{folder}: {squares.count:,} random squares of {len(kept.images):,} photographs make an epoch; "
        f"{grid.count:,} tiles of {len(tested.images):,} photographs are tested on"
    )
    return squares, grid


@dataclass(frozen=True)
class _Photographs:
    """The usable photographs of a split and their labels; what ``decoded`` says is about all of its files."""

    images: list[UInt8Array]
    labels: Int32Array | None
    decoded: Decoded


def _read(files: FileList, framing: Framing, side: int, cache_dir: Path | None, *, strict: bool) -> _Photographs:
    """Read the photographs of at least ``side`` pixels in height and width."""
    images: list[UInt8Array] = []
    if cache_dir is None:
        decoded = decode(files.paths, framing, images.append, strict=strict)
    else:
        decoded, file = decode_through_cache(files.paths, framing, cache_dir, strict=strict)
        images = mapped(file, decoded.sizes, framing.shape[2])
    rows: list[int] = []
    faults = list(decoded.unreadable)
    for row, (height, width) in zip(decoded.readable, decoded.sizes, strict=True):
        if min(height, width) >= side:
            rows.append(row)
        else:
            faults.append(f"{files.paths[row]}: is {width}×{height}, smaller than --crop {side}")
    if strict and faults:
        raise InputError(faults[0])
    large = [image for image in images if min(image.shape[:2]) >= side]
    labels = files.take(np.array(rows, np.int64)).labels
    return _Photographs(large, labels, dataclasses.replace(decoded, readable=tuple(rows), unreadable=tuple(faults)))


def _check_memory(folder: Path, paths: tuple[Path, ...], framing: Framing, memory_limit: int) -> None:
    """Check that all pixels fit, before any are decoded.

    Raises:
        InputError: when they do not.
    """

    def pixels_of(path: Path) -> int:
        try:
            width, height = image_size(path, framing)
        except InputError:  # which decoding will report
            return 0
        return width * height

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        total = sum(pool.map(pixels_of, paths)) * framing.shape[2]
    if total > memory_limit:
        raise InputError(
            f"{folder}: its photographs have {total:,} bytes of pixels, more than the {memory_limit:,} of "
            "--memory-limit; raise that, or keep the pixels on disk with --cache-dir"
        )
