"""A folder of image files of any size, as an ``ImageDataset``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from keras_vae.data.dataset import ArraySplit, ImageDataset, IndexedSplit, Split, UInt8Array
from keras_vae.data.decoding import Source, check_unreadable, decode, decode_through_cache
from keras_vae.data.file_list import FileList, Splitting, find_files
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image
from keras_vae.data.photographs import cut_photographs
from keras_vae.data.pixel_cache import Decoded, PixelFile
from keras_vae.data.squares import Crop
from keras_vae.errors import InputError

Read: TypeAlias = Callable[[npt.NDArray[np.int64]], UInt8Array]


def load_folder(
    directory: str | os.PathLike[str],
    framing: Framing,
    *,
    crop: Crop | None = None,
    splitting: Splitting | None = None,
    memory_limit: int = 2 << 30,
    cache_dir: str | os.PathLike[str] | None = None,
    strict: bool = False,
    say: Callable[[str], None],
) -> ImageDataset:
    """Read every PNG, JPEG, BMP, GIF, WebP, TIFF and AVIF file below ``directory``, links followed.

    Folders such as ``train/`` and ``test/`` are the splits; without them a share of the files becomes the test split.
    Folders in a split are classes where there are several, with few files beside them. `keras_vae.data.folder_layout`
    reads other layouts. Every file is decoded once before this returns, so that a damaged one is found now.

    Args:
        directory: the folder.
        framing: shape of the images to make, and how. With ``crop``, only channels, bit depth and largest number of
            pixels count.
        crop: cut images at their own size, into random squares to train on and into tiles to test on.
        splitting: how to split a folder without splits.
        memory_limit: up to this many bytes of pixels are kept in memory; more are read from disk for each batch. With
            ``crop``, more need a ``cache_dir``.
        cache_dir: folder for decoded pixels, so that no file is decoded twice, not even in later runs.
        strict: stop at the first unreadable file. Otherwise unreadable files are named and left out, as long as they
            are fewer than 1% of all.
        say: receives a line that says how the folder is read where that is not plain, one that counts the files that
            are left out by reason, and one for each file that cannot be read.

    Raises:
        InputError: when there is no such folder, it has too few images for two splits, its layout can be read in two
            ways, too many files cannot be read, or photographs to crop do not fit into memory.
    """
    folder = Path(directory).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory; give the directory of the images as folder:DIR")
    files = find_files(folder, splitting or Splitting())
    for note in files.notes:
        say(note)
    cache = Path(cache_dir).expanduser() if cache_dir else None
    source = Source(folder, files.train, files.test, framing, memory_limit, cache, strict, say)
    train, test = _fitted(source) if crop is None else cut_photographs(source, crop)
    return ImageDataset(
        name=folder.resolve().name,
        source="folder",
        train=train,
        test=test,
        class_names=files.class_names,
        unlabelled=files.unlabelled,
    )


def _fitted(source: Source) -> tuple[Split, Split]:
    """Both splits, their images brought to the shape of the framing."""
    framing, lists = source.framing, (source.train, source.test)
    in_memory = sum(len(files.paths) for files in lists) * math.prod(framing.shape) <= source.memory_limit
    sides = [_read_side(files, source, in_memory=in_memory) for files in lists]
    check_unreadable(source.folder, [side.decoded for side in sides], source.say)
    return sides[0].split(framing), sides[1].split(framing)


@dataclass(frozen=True)
class _Side:
    """The readable files of a split, and their pixels or a function that reads them."""

    files: FileList
    decoded: Decoded
    pixels: UInt8Array | Read

    def split(self, framing: Framing) -> Split:
        if isinstance(self.pixels, np.ndarray):
            return ArraySplit(self.pixels, self.files.labels, self.files.paths)
        return IndexedSplit(
            len(self.files.paths),
            framing.shape,
            self.pixels,
            self.files.labels,
            self.decoded.sha256,
            paths=self.files.paths,
        )


def _read_side(files: FileList, source: Source, *, in_memory: bool) -> _Side:
    """Decode the files, or take them from the cache."""
    framing, strict = source.framing, source.strict
    if source.cache_dir is not None:
        decoded, file = decode_through_cache(files.paths, framing, source.cache_dir, strict=strict)
        read = PixelFile(file, framing.shape).read
        pixels: UInt8Array | Read = read(np.arange(len(decoded.readable))) if in_memory else read
    elif in_memory:
        images: list[UInt8Array] = []
        decoded = decode(files.paths, framing, images.append, strict=strict)
        pixels = np.stack(images) if images else np.empty((0, *framing.shape), np.uint8)
    else:
        decoded = decode(files.paths, framing, lambda image: None, strict=strict)
        pixels = _from_files([files.paths[row] for row in decoded.readable], framing)
    return _Side(files.take(np.array(decoded.readable, np.int64)), decoded, pixels)


def _from_files(paths: list[Path], framing: Framing) -> Read:
    """A function that decodes the files with the given numbers."""

    def read(numbers: npt.NDArray[np.int64]) -> UInt8Array:
        return np.stack([read_image(paths[number], framing) for number in numbers])

    return read
