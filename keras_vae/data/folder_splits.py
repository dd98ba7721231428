"""Finding the folders that are the splits of one data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from keras_vae.data.folder_classes import GOOD, is_mvtec_like
from keras_vae.data.folder_scan import Folder
from keras_vae.data.split_names import TRAIN, is_for_masks, role_of

Splits: TypeAlias = dict[str, list[Folder]]
"""The folders of each role. Names that differ only in numbers, such as train2014 and train2017, share a role."""


def complete_splits(folder: Folder) -> list[Splits]:
    """The data sets that have images, a training folder and at least one other split in ``folder``."""
    by_rest: dict[tuple[str, ...], Splits] = {}
    for name, child in folder.folders.items():
        if found := role_of(name):
            by_rest.setdefault(found[1], {}).setdefault(found[0], []).append(child)
    return [splits for splits in by_rest.values() if TRAIN in splits and len(splits) > 1 and _count(splits)]


def lone_splits(children: Mapping[str, Folder]) -> Splits:
    """The folders whose name is that of a split and nothing else."""
    splits: Splits = {}
    for name, child in children.items():
        if (found := role_of(name)) and not found[1]:
            splits.setdefault(found[0], []).append(child)
    return splits


def can_be_tested(splits: Splits) -> bool:
    """Whether there are images both to train on and to test on."""
    of_train = sum(folder.count for folder in splits[TRAIN])
    return 0 < of_train < _count(splits)


def is_organised(folder: Folder) -> bool:
    """Whether the images lie in several folders."""
    while len(folder.children) == 1 and not folder.files:
        (folder,) = folder.children.values()
    return len(folder.children) > 1


def is_mvtec(folder: Folder) -> bool:
    """Whether a folder has MVTec AD's layout: ``train/good``, ``test/good``, ``test/DEFECT``, ``ground_truth``."""
    splits = complete_splits(folder)
    if len(splits) != 1:
        return False
    trained, tested = (
        {name for child in splits[0].get(role, []) for name in child.children} for role in (TRAIN, "test")
    )
    return is_mvtec_like(trained, tested) or (trained == {GOOD} and any(map(is_for_masks, folder.folders)))


def _count(splits: Splits) -> int:
    return sum(folder.count for folders in splits.values() for folder in folders)
