"""Whole photographs, from which squares are cut: in memory, or as pixels on disk."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_vae.data.dataset import IndexedSplit, Int32Array, UInt8Array
from keras_vae.data.decoding import Source, check_unreadable, decode, decode_through_cache
from keras_vae.data.file_list import FileList
from keras_vae.data.image_file import image_size
from keras_vae.data.pixel_cache import Decoded, mapped
from keras_vae.data.squares import Crop, random_squares, tiles
from keras_vae.errors import InputError


def cut_photographs(source: Source, crop: Crop) -> tuple[IndexedSplit, IndexedSplit]:
    """Random squares of the files to train on, and tiles of those to test on.

    Args:
        source: the files. Photographs keep their own height and width. Without a ``cache_dir``, more pixels than
            ``memory_limit`` are refused; with one, squares are read from there.
        crop: how to cut.

    Raises:
        InputError: when there are more pixels than ``memory_limit``, or too many files cannot be used.
    """
    folder, say = source.folder, source.say
    # The shape is not used, and always the same, so that squares of all sizes are cut from the same cached pixels.
    whole = dataclasses.replace(source.framing, shape=(1, 1, source.framing.shape[2]), fit="whole")
    source = dataclasses.replace(source, framing=whole)
    if source.cache_dir is None:
        _check_memory(source)
    kept, tested = (_read(files, source, crop.side) for files in (source.train, source.test))
    check_unreadable(folder, [kept.decoded, tested.decoded], say, why="cannot be cut into squares")
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


def _read(files: FileList, source: Source, side: int) -> _Photographs:
    """Read the photographs of at least ``side`` pixels in height and width."""
    framing, strict = source.framing, source.strict
    images: list[UInt8Array] = []
    if source.cache_dir is None:
        decoded = decode(files.paths, framing, images.append, strict=strict)
    else:
        decoded, file = decode_through_cache(files.paths, framing, source.cache_dir, strict=strict)
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


def _check_memory(source: Source) -> None:
    """Check that all pixels fit, before any are decoded.

    Raises:
        InputError: when they do not.
    """

    def pixels_of(path: Path) -> int:
        try:
            width, height = image_size(path, source.framing)
        except InputError:  # which decoding will report
            return 0
        return width * height

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = (*source.train.paths, *source.test.paths)
        total = sum(pool.map(pixels_of, paths)) * source.framing.shape[2]
    if total > source.memory_limit:
        raise InputError(
            f"{source.folder}: its photographs have {total:,} bytes of pixels, more than the {source.memory_limit:,} "
            "of --memory-limit; raise that, or keep the pixels on disk with --cache-dir"
        )
