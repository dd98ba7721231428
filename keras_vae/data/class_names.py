"""The names of classes: ordering, showing and finding them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_vae.errors import InputError

_MOST_SHOWN = 12


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names so that numbers in them are compared as numbers: ``1, 2, 10``, ``fold2, fold10``."""
    return sorted(names, key=lambda name: (_natural_key(name), name))


def find_class(label: str, names: Sequence[str] | None, num_classes: int) -> int:
    """The number of the class with the name or the number ``label``. Names take precedence.

    Args:
        label: the name of a class, in any case, or its number.
        names: the names of the classes, or None if they are not known.
        num_classes: the number of classes.

    Raises:
        InputError: when there is no such class. The message lists the classes.
    """
    if names is not None:
        if label in names:
            return names.index(label)
        folded = [number for number, name in enumerate(names) if name.casefold() == label.casefold()]
        if len(folded) == 1:
            return folded[0]
    if re.fullmatch("[0-9]{1,9}", label) and int(label) < num_classes:
        return int(label)
    known = f"the classes are numbered 0 to {num_classes - 1}"
    if names is None:
        raise InputError(f"there is no class {label!r:.60}; {known}, and their names are not recorded")
    near = difflib.get_close_matches(label, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"{known} and named {some(names)}"
    raise InputError(f"there is no class {label!r:.60}; {hint}")


def describe_classes(names: Sequence[str], counts: Sequence[int] | None = None) -> str:
    """The classes with their numbers and counts: ``0 cat 40, 1 dog 40``. Long lists are cut.

    Args:
        names: the names of the classes.
        counts: the number of images in each class, if known.
    """
    if are_numbers(names):
        shown = f"0 to {len(names) - 1}"
        return shown if counts is None else f"{shown}, of {_range(counts)} images each"
    if counts is None:
        return some([f"{number} {name}" for number, name in enumerate(names)])
    return some([f"{number} {name} {count:,}" for number, (name, count) in enumerate(zip(names, counts, strict=True))])


def are_numbers(names: Sequence[str]) -> bool:
    """Whether the names are just the numbers of the classes."""
    return list(names) == [str(number) for number in range(len(names))]


def recorded_names(recorded: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The class names in an `ImageDataset.describe` that a run or a manifest recorded; None if there are none."""
    names = (recorded or {}).get("class_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def some(items: Sequence[str]) -> str:
    """The first dozen items, and the number of further ones."""
    rest = len(items) - _MOST_SHOWN
    return ", ".join(items[:_MOST_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _range(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _natural_key(name: str) -> list[tuple[int, str]]:
    """The parts of a name, digits as numbers."""
    parts = re.split("([0-9]+)", name)
    return [(int(part), "") if index % 2 else (-1, part) for index, part in enumerate(parts)]
