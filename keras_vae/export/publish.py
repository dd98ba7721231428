"""Publish a version as ``exports/<name>/<version>``, as TFX's Pusher does: completely or not at all."""

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
# TensorFlow Serving ignores these, because it reads only folders whose names are integers.
_UNFINISHED = re.compile(r"\.[1-9][0-9]{0,18}\.publishing")


def model_root(folder: Path, name: str) -> Path:
    """``folder/name``, which holds the versions of that model.

    Raises:
        InputError: if the name does not suit a folder or TensorFlow Serving's URLs.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r:.120} cannot name a model: use a letter or digit, then letters, digits, '.', '_' or '-' "
            "(at most 100); choose --name"
        )
    return folder / name


def list_versions(root: Path) -> list[int]:
    """The published versions under ``root``, in ascending order.

    Raises:
        InputError: if the folder cannot be read.
    """
    try:
        return sorted(int(path.name) for path in root.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir())
    except OSError as error:
        raise InputError(f"{root}: cannot be read ({error.strerror})") from error


def check_target(root: Path, version: int | None = None) -> None:
    """Check that a version can be published under ``root``, without changing anything.

    Raises:
        InputError: if the version is out of range or exists, or if the folder cannot be written.
    """
    if version is not None and not 1 <= version <= MOST_VERSION:
        raise InputError(f"version must be from 1 to {MOST_VERSION}, got {version}")
    if version is not None and os.path.lexists(root / str(version)):
        raise InputError(f"{root / str(version)}: there is that version already; choose another --version")
    nearest = next(folder for folder in (root, *root.absolute().parents) if os.path.lexists(folder))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{root}: {nearest} is not a writable directory; choose another --to")


def publish(
    root: Path, version: int | None, write: Callable[[Path, int], None], verify: Callable[[Path], None]
) -> Path:
    """Write a version beside the published ones, verify it, and rename it to its final name.

    If it is killed, the folder holds either the old versions alone or the old versions and the complete new one, and
    the next publisher removes the leftovers. Several publishers at the same time get a version each.

    Args:
        root: ``exports/<name>``; created if it is missing.
        version: a number from 1, or None for the UTC time in whole seconds (or the next free number).
        write: called with an empty folder and the version; writes the files.
        verify: called with the folder when all files are written; raises if it must not be served.

    Returns:
        ``root/<version>``.

    Raises:
        InputError: if the version is out of range or exists, or if the folder cannot be written or locked.
        Exception: whatever ``write`` and ``verify`` raise; nothing is then published or left behind.
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
                # rename() would silently replace an empty folder.
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
    """A hidden folder that reserves the version and stays locked while its publisher runs; removed at the end.

    Raises:
        InputError: if the version exists, or if another process is publishing it.
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
        # Locked before another publisher can sweep.
        descriptor = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _is_free(root: Path, version: int) -> bool:
    return not (os.path.lexists(root / str(version)) or os.path.lexists(root / f".{version}.publishing"))


def _sweep(root: Path) -> None:
    """Remove the leftovers of killed publishers, whose locks are gone."""
    for path in root.iterdir():
        if not _UNFINISHED.fullmatch(path.name) or path.is_symlink():
            continue
        try:
            descriptor = _lock(path, wait=False)
        except (OSError, InputError):  # it belongs to a running publisher or to another user
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Create ``root`` if it is missing and lock it; other publishers wait for the short time that this takes."""
    descriptor = None
    while descriptor is None:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = _lock_if_there(root)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock_if_there(root: Path) -> int | None:
    """A locked descriptor, or None if a failing publisher has just removed the folder."""
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
    """Remove folders created for a version that was not published, the deepest first."""
    if not folders:
        return
    with suppress(OSError, InputError), _locked(folders[0]):  # rmdir keeps a folder that holds another version
        for folder in folders:
            folder.rmdir()


def _sync_tree(folder: Path) -> None:
    """Flush every file to disk before the rename makes them visible."""
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
