"""A folder that appears whole or not at all, and replaces only what was written here before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside

MARK = "comparison.json"
"""The file by which a comparison is known."""
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
"""Every file that a comparison may hold."""


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
        raise InputError(f"{path}: exists and is no folder; choose another --to")
    if found and MARK not in found:
        raise InputError(f"{path}: exists and is no comparison (it has no {MARK}); choose another --to")
    # Whoever keeps notes beside a comparison does not lose them with it.
    others = [name for name in found or () if name not in FILES]
    if others:
        raise InputError(f"{path}: holds more than a comparison ({others[0]}); move that away or choose another --to")
    if found and not overwrite:
        raise InputError(f"{path}: holds a comparison already; replace it with --overwrite, or choose another --to")
    nearest = next(folder for folder in target.parents if os.path.lexists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{path}: {nearest} is no directory that can be written; choose another --to")


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, renamed to it when the block is done and removed when it fails.

    What `check_folder` allows to be replaced is replaced; on any failure it is where it was.

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
    """Where ``path`` leads: a link stays a link, and what it names is replaced."""
    return Path(os.path.realpath(path))
