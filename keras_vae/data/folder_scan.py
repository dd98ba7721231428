"""Finding the files below a folder: images by folder, and a count of all other files by reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from keras_vae.data.image_file import EXTENSIONS, unread_kind
from keras_vae.data.split_names import is_leftover
from keras_vae.errors import InputError

# Most reasons that the line about left-out files names.
_MOST_REASONS = 8


@dataclass(frozen=True)
class Folder:
    """A folder with its images, its folders, and its images in formats that are not read."""

    path: Path
    files: list[Path] = field(default_factory=list)
    folders: dict[str, Folder] = field(default_factory=dict)
    unread: list[Path] = field(default_factory=list)

    @cached_property
    def count(self) -> int:
        """Number of images below the folder."""
        return len(self.files) + sum(folder.count for folder in self.folders.values())

    @cached_property
    def children(self) -> dict[str, Folder]:
        """The folders in it that have images below them, by name."""
        return {name: folder for name, folder in self.folders.items() if folder.count}

    @cached_property
    def is_lost(self) -> bool:
        """Whether there are images below the folder, but none in a format that is read."""
        return not self.count and (bool(self.unread) or any(folder.is_lost for folder in self.folders.values()))

    def images(self) -> Iterator[Path]:
        """Every image below the folder."""
        yield from self.files
        for folder in self.folders.values():
            yield from folder.images()


@dataclass(frozen=True)
class Scan:
    """The images below a folder, and the number of other files for each reason to leave them out."""

    root: Folder
    left_out: Counter[str]


def scan_folder(path: Path) -> Scan:
    """Search a folder and follow links. Each folder is visited once, and no file is opened.

    Raises:
        InputError: when a folder cannot be opened.
    """
    root, left_out = Folder(path), Counter[str]()
    others: list[str] = []
    seen: set[tuple[int, int]] = set()
    # Folders still to be searched. Each has the name of the left-out folder that it is in, if there is one.
    waiting: list[tuple[Folder, str | None]] = [(root, None)]
    while waiting:
        folder, leftover = waiting.pop()
        try:
            status = os.stat(folder.path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder.path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if leftover is not None:
                continue
            raise InputError(
                f"{folder.path}: cannot be opened ({error.strerror}); make it readable, or move it elsewhere"
            ) from error
        inner = []
        for entry in entries:
            if entry.is_dir():
                child = Folder(Path(entry.path))
                within = leftover or (entry.name if is_leftover(entry.name) else None)
                if within is None:
                    folder.folders[entry.name] = child
                inner.append((child, within))
            elif leftover is not None:
                left_out[f"in {leftover}"] += 1
            elif entry.name.startswith("."):
                left_out["hidden"] += 1
            elif kind := unread_kind(_ending_of(entry.name)):
                left_out[kind] += 1
                folder.unread.append(Path(entry.path))
            elif _ending_of(entry.name) not in EXTENSIONS:
                others.append(_ending_of(entry.name) or "no ending")
            elif os.path.exists(entry.path) and not entry.is_file():  # reading a pipe would block
                left_out["no plain files"] += 1
            else:
                folder.files.append(Path(entry.path))
        waiting += reversed(inner)
    if others:
        left_out[f"not images ({_listed(sorted(set(others)))})"] = len(others)
    return Scan(root, left_out)


def left_out_line(left_out: Counter[str]) -> str:
    """The number of left-out files and the reasons: ``60 files are left out: 40 .heic (not read; …), 20 in @eaDir``."""
    named = [f"{count:,} {reason}" for reason, count in left_out.most_common(_MOST_REASONS)]
    if rest := left_out.total() - sum(count for _, count in left_out.most_common(_MOST_REASONS)):
        named.append(f"{rest:,} for other reasons")
    total = left_out.total()
    return f"{total:,} {'file is' if total == 1 else 'files are'} left out: {', '.join(named)}"


def _ending_of(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _listed(names: list[str]) -> str:
    shown = names[:5]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more endings" if len(names) > len(shown) else "")
