"""Files and folders that appear whole or not at all, and checksums. Imports no other module of the package."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BESIDE = re.compile(r"\.[0-9a-f]{32}\..+")


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a new path in the target's directory; rename it to the target on success, remove it on failure.

    The path keeps the target's suffixes, from which writers choose a format.
    """
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_written_beside(path: Path) -> Iterator[Path]:
    """Yield a new folder beside the target; rename it to the target on success, remove it on failure.

    An existing folder is replaced; on any failure it stays where it was. If the target is a link, the folder that it
    points to is replaced.
    """
    target = Path(os.path.realpath(path))
    beside, old = (target.with_name(f".{uuid.uuid4().hex}.{target.name}") for _ in range(2))
    try:
        beside.mkdir(parents=True)
        yield beside
        # A folder cannot be renamed onto one that is not empty, so the old one is moved aside first.
        if target.exists():
            target.rename(old)
        try:
            beside.rename(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def is_leftover_of(path: Path, name: str) -> bool:
    """Whether ``path`` is what `written_beside` leaves of the file ``name`` when its process is killed."""
    return _BESIDE.fullmatch(path.name) is not None and path.name.endswith(f".{name}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of `written_beside` and `folder_written_beside` below ``folder``.

    No other process may be writing there.
    """
    for path in [path for path in folder.rglob(".*") if _BESIDE.fullmatch(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, replacing an existing file in one step."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
