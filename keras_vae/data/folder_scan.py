"""Which image files a folder has, of which class and split each is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_vae.data.dataset import Int32Array
from keras_vae.data.image_file import EXTENSIONS
from keras_vae.errors import InputError

_TRAIN, _TESTS = "train", ("test", "validation")


@dataclass(frozen=True)
class Splitting:
    """How a folder without ``train/`` and ``test/`` becomes two splits.

    Args:
        test_fraction: share of the files, and of each class, to test on; above 0 and below 1.
        seed: makes the choice. It is no run's seed, so that runs of several seeds have one test split.
    """

    test_fraction: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FileList:
    """The files of a split, in the order in which they are read, and the number of each one's class, if any."""

    paths: tuple[Path, ...]
    labels: Int32Array | None

    def take(self, rows: npt.NDArray[np.int64]) -> FileList:
        """Some of the files."""
        labels = None if self.labels is None else self.labels[rows]
        return FileList(tuple(self.paths[row] for row in rows), labels)


def find_splits(folder: Path, splitting: Splitting) -> tuple[FileList, FileList, tuple[str, ...] | None]:
    """The files to train on and to test on, shuffled (the same way each time), and the names of the classes.

    ``train/`` and ``test/`` (or ``validation/``) are the splits where both are there. Folders in a split are classes
    where there are several of them and no file is beside them.

    Raises:
        InputError: when a split would have no file.
    """
    test = next((folder / name for name in _TESTS if (folder / name).is_dir()), None)
    roots = [folder / _TRAIN, test] if test and (folder / _TRAIN).is_dir() else [folder]
    files = [sorted(_image_files(root)) for root in roots]
    for root, found in zip(roots, files, strict=True):
        if len(found) < (2 if root is folder else 1):
            raise InputError(
                f"{root}: has {len(found)} image files ({', '.join(sorted(EXTENSIONS))}), which is too few to train on"
            )
    classes = [[path.relative_to(root).parts[0] for path in found] for root, found in zip(roots, files, strict=True)]
    names = sorted({name for of_split in classes for name in of_split})
    are_classes = len(names) > 1 and not {path.name for found in files for path in found}.intersection(names)
    random = np.random.RandomState(splitting.seed)  # its stream never changes, as NumPy promises
    number = {name: index for index, name in enumerate(names)} if are_classes else dict.fromkeys(names, 0)
    sides = []
    for found, of_split in zip(files, classes, strict=True):
        labels = np.array([number[name] for name in of_split], np.int32)
        sides.append(FileList(tuple(found), labels).take(random.permutation(len(found))))
    if len(sides) == 1:
        sides = _divided(sides[0], splitting.test_fraction)
    if not are_classes:
        sides = [FileList(side.paths, None) for side in sides]
    return sides[0], sides[1], tuple(names) if are_classes else None


def _divided(files: FileList, test_fraction: float) -> list[FileList]:
    """Train and test: the first so many of each class are to test on, and at least one on either side."""
    assert files.labels is not None
    is_test = np.zeros(len(files.paths), bool)
    for label in np.unique(files.labels):
        rows = np.flatnonzero(files.labels == label)
        is_test[rows[: round(test_fraction * len(rows))]] = True
    if not is_test.any():
        is_test[0] = True
    if is_test.all():
        is_test[0] = False
    return [files.take(np.flatnonzero(~is_test)), files.take(np.flatnonzero(is_test))]


def _image_files(root: Path) -> Iterator[Path]:
    """Every image file below, links followed (a circle of them once), hidden files and folders left out."""
    seen: set[tuple[int, int]] = set()
    for parent, folders, names in os.walk(root, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS:
                yield Path(parent, name)
