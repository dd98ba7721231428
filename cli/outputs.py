"""Output files: the place is checked before any work, and a file appears complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_vae.errors import InputError
from keras_vae.files import written_beside

if TYPE_CHECKING:
    from keras_vae.visualize.style import Picture


def check_output(path: Path, *, overwrite: bool, suffix: str | None = None, option: str = "--out") -> None:
    """Check, changing nothing, that a file can be written to ``path``.

    Args:
        path: the value of ``option``.
        overwrite: whether an existing file may be replaced.
        suffix: the suffix that the file must have, such as ``.png``; None allows any.
        option: the option that named the path, for messages.

    Raises:
        InputError: if a file exists already, the path is a folder, the suffix is wrong, or the place cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it with {option}")
    if suffix and path.suffix.lower() != suffix:
        raise InputError(f"{path}: the name must end in {suffix}; choose another {option}")
    if os.path.lexists(path) and not overwrite:
        raise InputError(f"{path}: exists already; replace it with --overwrite, or choose another {option}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it, or choose another {option}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written; choose another {option}")


def check_output_folder(folder: Path, places: Iterable[Path], *, overwrite: bool) -> None:
    """Check, changing nothing, that files can be written to ``places`` in ``folder``, which may be missing.

    Raises:
        InputError: if ``folder`` is a file or a place in it is taken, or if it cannot be written or made.
    """
    if folder.is_dir():
        for place in places:
            check_output(place, overwrite=overwrite)
    elif os.path.lexists(folder):
        raise InputError(f"{folder}: is a file; name a folder with --out")
    else:
        check_output(folder, overwrite=overwrite)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it when the block ends.

    Raises:
        InputError: if the place cannot be written.
    """
    try:
        with written_beside(path) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_picture(path: Path, picture: Picture) -> None:
    """Write a PNG and say so.

    Raises:
        InputError: if the place cannot be written.
    """
    from keras_vae.visualize import write_png  # deferred: Matplotlib comes with it

    with writing(path) as beside:
        write_png(beside, picture)
    print(f"wrote {path}")
