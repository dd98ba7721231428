"""Decoding the files of a list once, on all cores, and what is done about those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_vae.data.dataset import UInt8Array
from keras_vae.data.file_list import FileList
from keras_vae.data.fingerprint import Fingerprint
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image
from keras_vae.data.pixel_cache import Decoded, PixelCache
from keras_vae.errors import InputError

TOO_MANY_UNREADABLE = 0.01
"""A folder or a batch job with this share of unreadable images, or a larger one, is refused."""

# Decoded images that may wait to be taken. Whole photographs can be large.
_WAITING, _WHOLE_WAITING = 256, 16


@dataclass(frozen=True)
class Source:
    """The image files of a folder, and how they are read.

    Args:
        folder: the folder.
        train: files to train on.
        test: files to test on.
        framing: shape of the images to make, and how.
        memory_limit: up to this many bytes of pixels are kept in memory.
        cache_dir: folder for decoded pixels, or None.
        strict: stop at the first file that cannot be used.
        say: receives lines about files that are left out.
    """

    folder: Path
    train: FileList
    test: FileList
    framing: Framing
    memory_limit: int
    cache_dir: Path | None
    strict: bool
    say: Callable[[str], None]


def decode(
    paths: Sequence[Path],
    framing: Framing,
    take: Callable[[UInt8Array], object],
    *,
    strict: bool,
) -> Decoded:
    """Decode every file once, on all cores, and pass the readable images, uint8 (H, W, C), to ``take``, in order.

    Args:
        paths: the files.
        framing: how they are read.
        take: receives the images.
        strict: stop at the first unreadable file.

    Raises:
        InputError: with ``strict``, for an unreadable file.
    """
    readable: list[int] = []
    unreadable: list[str] = []
    sizes: list[tuple[int, int]] = []
    fingerprint = Fingerprint()
    is_whole = framing.fit == "whole"
    at_a_time = _WHOLE_WAITING if is_whole else _WAITING
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), at_a_time):
            some = paths[start : start + at_a_time]
            for row, image in enumerate(pool.map(lambda path: _image_or_fault(path, framing), some), start):
                if isinstance(image, np.ndarray):
                    readable.append(row)
                    sizes += [(image.shape[0], image.shape[1])] if is_whole else []
                    fingerprint.add(image[None])
                    take(image)
                elif strict:
                    raise InputError(image)
                else:
                    unreadable.append(image)
    return Decoded(tuple(readable), tuple(unreadable), fingerprint.hexdigest(), tuple(sizes))


def decode_through_cache(
    paths: Sequence[Path], framing: Framing, cache_dir: Path, *, strict: bool
) -> tuple[Decoded, Path]:
    """As `decode`, unless an earlier run has; the pixels of the readable images are in the file that this returns.

    Raises:
        InputError: with ``strict``, for an unreadable file; when the cache is damaged or cannot be written.
    """
    cache = PixelCache(cache_dir, tuple(paths), framing)
    decoded = cache.find()
    if decoded is None:
        with cache.writing() as file:
            decoded = decode(paths, framing, lambda image: file.write(image.tobytes()), strict=strict)
        cache.describe(decoded)
    elif strict and decoded.unreadable:
        raise InputError(decoded.unreadable[0])
    return decoded, cache.pixels


def _image_or_fault(path: Path, framing: Framing) -> UInt8Array | str:
    try:
        return read_image(path, framing)
    except InputError as error:
        return str(error)


def check_unreadable(
    folder: Path, sides: Sequence[Decoded], say: Callable[[str], None], *, why: str = "cannot be read"
) -> None:
    """Name every file that is left out.

    Args:
        folder: the folder of the files.
        sides: the two splits.
        say: receives the lines.
        why: what the files have in common.

    Raises:
        InputError: when there are too many, or a split is left empty.
    """
    unreadable = [fault for decoded in sides for fault in decoded.unreadable]
    if not unreadable:
        return
    for fault in unreadable:
        say(fault)
    total = len(unreadable) + sum(len(decoded.readable) for decoded in sides)
    found = f"{folder}: {len(unreadable):,} of {total:,} image files {why}"
    if len(unreadable) >= TOO_MANY_UNREADABLE * total or not all(decoded.readable for decoded in sides):
        raise InputError(f"{found} (named above); a run goes on without them below {TOO_MANY_UNREADABLE:.0%}")
    say(f"{found} and are left out")
