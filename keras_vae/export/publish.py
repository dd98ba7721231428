"""Publishing a version of a model, as TFX's Pusher does: ``saved_models/<name>/<version>``, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_vae.errors import InputError

MOST_VERSION = 2**63 - 1
"""TensorFlow Serving keeps versions in an int64."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[1-9][0-9]{0,18}")
# TensorFlow Serving reads only folders whose names are integers, and so passes over these.
_UNFINISHED = re.compile(r"\.[1-9][0-9]{0,18}\.publishing")


def model_root(folder: Path, name: str) -> Path:
    """``folder/name``, under which the versions of that model lie.

    Raises:
        InputError: when the name is not one for a folder and for TensorFlow Serving's addresses.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r:.120} cannot name a model: begin with a letter or digit, go on with letters, digits, "
            "'.', '_', '-' (at most 100); choose --name"
        )
    return folder / name


def list_versions(root: Path) -> list[int]:
    """The versions that are published under ``root``, ascending.

    Raises:
        InputError: when the folder cannot be read.
    """
    try:
        return sorted(int(path.name) for path in root.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir())
    except OSError as error:
        raise InputError(f"{root}: cannot be read ({error.strerror})") from error


def check_target(root: Path, version: int | None = None) -> None:
    """Check, changing nothing, that a version can be published under ``root``.

    Raises:
        InputError: when the version is out of range or taken, or the place cannot be written.
    """
    if version is not None and not 1 <= version <= MOST_VERSION:
        raise InputError(f"version must be from 1 to {MOST_VERSION}, got {version}")
    if version is not None and os.path.lexists(root / str(version)):
        raise InputError(f"{root / str(version)}: there is that version already; choose another --version")
    nearest = next(folder for folder in (root, *root.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{root}: {nearest} is no directory that can be written; choose another --to")


def publish(
    root: Path, version: int | None, write: Callable[[Path, int], None], verify: Callable[[Path], None]
) -> Path:
    """Write a version beside the published ones, verify it there, and rename it into its place.

    Killed at any moment, it leaves the versions that were there or these and the new one; the next publisher sweeps
    away what it had begun. Publishers at once get a version each.

    Args:
        root: ``saved_models/<name>``; made where it is missing.
        version: a number from 1, or None for the UTC time in whole seconds (the next free number where that is taken).
        write: is given an empty folder and the version, and writes the files.
        verify: is given the folder when everything is on disk; raises when it is not fit to be served.

    Returns:
        ``root/<version>``.

    Raises:
        InputError: when the version is out of range or taken, or the place cannot be written or locked.
        Exception: whatever ``write`` and ``verify`` raise; then nothing is published and nothing left behind.
    """
    check_target(root, version)
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        with _begun(root, version) as folder:
            number = int(folder.name.split(".")[1])
            write(folder, number)
            verify(folder)
            _sync_tree(folder)
            target = root / str(number)
            with _locked(root):
                # Renamed onto an empty folder, a folder would replace it.
                if os.path.lexists(target):
                    raise InputError(f"{target}: appeared while this version was written; nothing was published")
                folder.rename(target)
    except OSError as error:
        _remove_empty(missing)
        raise InputError(f"{root}: nothing was published ({error.strerror or error})") from error
    except BaseException:
        _remove_empty(missing)
        raise
    for parent in (root, *(folder.parent for folder in missing)):
        _sync(parent)
    return target


@contextmanager
def _begun(root: Path, version: int | None) -> Iterator[Path]:
    """A hidden folder that reserves the version and is locked while its publisher lives; removed if it is still there.

    Raises:
        InputError: when the version is taken, or being published by someone else.
    """
    with _locked(root):
        _sweep(root)
        number = int(time.time()) if version is None else version
        while not _is_free(root, number):
            if version is not None:
                raise InputError(f"{root / str(version)}: there is that version already, or another export writes it")
            number += 1
        folder = root / f".{number}.publishing"
        folder.mkdir()
        # Locked before another publisher may sweep.
        descriptor = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _is_free(root: Path, version: int) -> bool:
    return not (os.path.lexists(root / str(version)) or os.path.lexists(root / f".{version}.publishing"))


def _sweep(root: Path) -> None:
    """Remove what killed publishers left: their locks went with them."""
    for path in root.iterdir():
        if not _UNFINISHED.fullmatch(path.name) or path.is_symlink():
            continue
        try:
            descriptor = _lock(path, wait=False)
        except (OSError, InputError):  # of a live publisher, or of another user
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """``root``, made where it is missing, for one publisher alone; others wait the moment that it takes."""
    descriptor = None
    while descriptor is None:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = _lock_if_there(root)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock_if_there(root: Path) -> int | None:
    """A locked descriptor, or None when a publisher that failed has just removed the folder."""
    try:
        descriptor = _lock(root)
    except FileNotFoundError:
        return None
    try:
        if os.path.samestat(os.fstat(descriptor), root.stat()):
            return descriptor
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


def _lock(folder: Path, *, wait: bool = True) -> int:
    """Lock a folder; the kernel lets go of it when the descriptor is closed or the process dies, however it dies."""
    import fcntl  # deferred: only POSIX systems have it, and versions are read on others too

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError as error:
        os.close(descriptor)
        raise InputError(
            f"{folder}: cannot be locked ({error.strerror}); export to a local disk and copy the version from there"
        ) from error
    return descriptor


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove what was made for a version that was not published, the deepest first."""
    if not folders:
        return
    with suppress(OSError, InputError), _locked(folders[0]):  # one that holds another's version stays
        for folder in folders:
            folder.rmdir()


def _sync_tree(folder: Path) -> None:
    """Have the disk hold every file before the name says that they are there."""
    for directory, _, names in os.walk(folder):
        for name in names:
            _sync(Path(directory, name))
        _sync(Path(directory))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
