"""The image files of a folder in two splits, in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keras_vae.data.class_names import in_natural_order
from keras_vae.data.dataset import Int32Array
from keras_vae.data.folder_classes import Classified
from keras_vae.data.folder_layout import read_layout
from keras_vae.data.folder_scan import left_out_line, scan_folder
from keras_vae.data.image_file import KINDS
from keras_vae.errors import InputError


@dataclass(frozen=True)
class Splitting:
    """How to split a folder without splits.

    Args:
        test_fraction: share of each class to test on; above 0 and below 1.
        seed: seed of the choice. It is not the seed of the run, so that runs with different seeds share a test split.
    """

    test_fraction: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FileList:
    """The files of a split in reading order, and the numbers of their classes, if there are any."""

    paths: tuple[Path, ...]
    labels: Int32Array | None

    def take(self, rows: npt.NDArray[np.int64]) -> FileList:
        """Some of the files."""
        labels = None if self.labels is None else self.labels[rows]
        return FileList(tuple(self.paths[row] for row in rows), labels)


@dataclass(frozen=True)
class FolderFiles:
    """The files of a folder.

    Args:
        train: files to train on.
        test: files to test on.
        class_names: the name of each label, in natural order; None without labels.
        unlabelled: why there are no labels, if there are none.
        notes: lines for the user: how the folder is read, and which files are left out.
    """

    train: FileList
    test: FileList
    class_names: tuple[str, ...] | None
    unlabelled: str | None
    notes: tuple[str, ...]


def find_files(folder: Path, splitting: Splitting) -> FolderFiles:
    """Find the files to train on and to test on, in a shuffled order that is always the same.

    `keras_vae.data.folder_layout` describes the layouts.

    Raises:
        InputError: when there are too few files, or the layout is refused.
    """
    scan = scan_folder(folder)
    left_out = scan.left_out
    _check_enough(scan.root.count, folder, 2, left_out_line(left_out) if left_out else None)
    layout = read_layout(scan.root)
    left_out = left_out + layout.count_left_out(scan.root.images())
    sides = [layout.train] if layout.test is None else [layout.train, layout.test]
    names = in_natural_order(set[str]().union(*(side.classes for side in sides)))
    random = np.random.RandomState(splitting.seed)  # its stream never changes, as NumPy promises
    lists = [_shuffled(side, names, random) for side in sides]
    if len(lists) == 1:
        _check_enough(len(lists[0].paths), folder, 2, left_out_line(left_out) if left_out else None)
        lists = _divided(lists[0], splitting.test_fraction)
    notes = [f"{folder}: {layout.how}"] if layout.how else []
    if left_out:
        notes.append(f"{folder}: {left_out_line(left_out)}")
    if not names:
        lists = [FileList(files.paths, None) for files in lists]
    train, test = lists
    return FolderFiles(train, test, tuple(names) or None, layout.unlabelled, tuple(notes))


def _check_enough(count: int, folder: Path, least: int, left_out: str | None) -> None:
    if count < least:
        raise InputError(
            f"{folder}: has {count} image files ({KINDS}), which is too few to train on"
            + (f"; {left_out}" if left_out else "")
        )


def _shuffled(side: Classified, names: Sequence[str], random: np.random.RandomState) -> FileList:
    number: dict[str | None, int] = {name: index for index, name in enumerate(names)}
    found = sorted((path, number.get(name, 0)) for name, paths in side.by_class.items() for path in paths)
    paths, labels = zip(*found, strict=True)
    return FileList(paths, np.array(labels, np.int32)).take(random.permutation(len(found)))


def _divided(files: FileList, test_fraction: float) -> list[FileList]:
    """Training and test files: the first files of each class are for testing, and each side has at least one."""
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
