"""Files that appear whole or not at all. Imported by anyone, imports none."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A new name in the target's directory, renamed to it on success and removed on failure.

    The name keeps the target's suffixes, by which writers choose a format.
    """
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text; an existing file is replaced in one step."""
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
