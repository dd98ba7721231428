"""The images of a folder by class. Several folders with few images beside them are classes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from keras_vae.data.class_names import in_natural_order
from keras_vae.data.folder_scan import Folder

GOOD = "good"
"""The class that MVTec AD trains on."""

_MOST_NAMES = 5


@dataclass(frozen=True)
class Classified:
    """The images of a split by class. Images without classes are under None."""

    by_class: dict[str | None, list[Path]]

    @property
    def classes(self) -> set[str]:
        """The names of its classes."""
        return {name for name in self.by_class if name is not None}

    @property
    def paths(self) -> list[Path]:
        """All of its images."""
        return [path for paths in self.by_class.values() for path in paths]


def are_classes(folder: Folder) -> bool:
    """Whether fewer images lie beside the folders than the average folder has, so that they are strays."""
    return len(folder.files) * len(folder.children) < folder.count - len(folder.files)


def by_class(folder: Folder) -> Classified:
    """The images of the folders in it; each folder is a class."""
    return Classified({name: list(child.images()) for name, child in folder.children.items()})


def without_classes(folder: Folder) -> Classified:
    """All images below the folder."""
    return Classified({None: list(folder.images())})


def why_no_classes(folder: Folder, shown: str) -> str:
    """Why the folders in it are not classes. ``shown`` is the name of the folder."""
    if len(folder.children) < 2:
        return f"{shown} has no class folders"
    return f"{len(folder.files):,} images lie in {shown} beside the folders {listed(folder.children)}"


def is_mvtec_like(trained: set[str], tested: set[str]) -> bool:
    """Whether the training images are all good, and the test images good or defective, as in MVTec AD."""
    return trained == {GOOD} < tested


def with_classes(how: str, train: Classified, test: Classified, train_shown: str, test_shown: str) -> str:
    """How splits with classes are read, and which classes only one of them has."""
    trained, tested = train.classes, test.classes
    if is_mvtec_like(trained, tested):
        defects = listed(tested - trained)
        return (
            f"is in MVTec AD's layout: {train_shown}{GOOD} is trained on, {test_shown} also holds the defects {defects}"
        )
    only = [
        f"in {shown} alone: {listed(names)}"
        for shown, names in ((train_shown, trained - tested), (test_shown, tested - trained))
        if names
    ]
    return f"{how}; classes {', '.join(only)}" if only else how


def with_lost(how: str | None, place: Folder, shown: Callable[[Folder], str]) -> str | None:
    """How a folder is read, and which of its class folders have no images in a format that is read."""
    lost = [shown(folder) for folder in place.folders.values() if folder.is_lost]
    if not lost:
        return how
    line = f"{listed(lost)} {'have' if len(lost) > 1 else 'has'} no images in a format that is read"
    return f"{how}; {line}" if how else line


def listed(names: Collection[str]) -> str:
    """Names in natural order, in words: ``a, b and c``, or ``a, b, c, d, e and 995 more``."""
    ordered = in_natural_order(names)
    shown, rest = ordered[:_MOST_NAMES], len(ordered) - _MOST_NAMES
    if rest > 0:
        return f"{', '.join(shown)} and {rest:,} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
