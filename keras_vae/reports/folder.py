"""A folder that appears complete or not at all, and that replaces only an earlier comparison."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside

MARK = "comparison.json"
"""The file that marks a folder as a comparison."""
FILES = (
    MARK,
    "comparison.md",
    "report.html",
    "train_curves.png",
    "test_curves.png",
    "latent.png",
    "reconstructions.png",
    "manifolds.png",
    "samples.png",
    "samples_gmm.png",
    "test_latent_visualization.gif",
    "sample_test_reconstruction.gif",
)
"""Every file that a comparison may contain."""


def check_folder(path: Path, *, overwrite: bool = True) -> None:
    """Check, changing nothing, that a comparison can be written to ``path``.

    Raises:
        InputError: if a comparison is there and ``overwrite`` is False, something else is there, or the place cannot
            be written.
    """
    target = _real(path)
    try:
        found = sorted(entry.name for entry in target.iterdir()) if target.is_dir() else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if found is None and os.path.lexists(target):
        raise InputError(f"{path}: exists and is not a folder; choose another --to")
    if found and MARK not in found:
        raise InputError(f"{path}: exists and is not a comparison (it has no {MARK}); choose another --to")
    # Notes that someone keeps beside a comparison must not be lost with it.
    others = [name for name in found or () if name not in FILES]
    if others:
        raise InputError(
            f"{path}: contains more than a comparison ({others[0]}); move that away or choose another --to"
        )
    if found and not overwrite:
        raise InputError(f"{path}: holds a comparison already; replace it with --overwrite, or choose another --to")
    nearest = next(folder for folder in target.parents if os.path.lexists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{path}: {nearest} is not a writable directory; choose another --to")


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, renamed to it when the block ends and removed if it fails.

    An existing comparison is replaced on success and untouched on failure.

    Raises:
        InputError: as `check_folder`, or when the place cannot be written.
    """
    check_folder(path)
    try:
        with folder_written_beside(path) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _real(path: Path) -> Path:
    """The target of ``path``: a link stays a link, and the folder that it points to is replaced."""
    return Path(os.path.realpath(path))
