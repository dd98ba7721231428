"""One process at a time in a run directory. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_vae.errors import InputError

NAME = "run.lock"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold ``folder/run.lock``, which names this process's pid and host.

    The operating system releases the lock when the process ends, however that happens: the file that a killed process
    leaves behind locks nothing.

    Raises:
        InputError: if another process holds it.
    """
    path = folder / NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path))
        except BlockingIOError as error:
            holder = os.read(descriptor, 1000).decode(errors="replace")
            os.close(descriptor)
            raise InputError(
                f"{folder}: another process trains into it ({_described(holder)}); wait for it, stop it, or choose "
                "another --run-dir"
            ) from error
        if is_ours:
            break
        os.close(descriptor)  # the former holder removed the file between opening and locking
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def check_unlocked(folder: Path) -> None:
    """Check that no process trains into ``folder``.

    Raises:
        InputError: if one does.
    """
    if (folder / NAME).exists():
        with run_lock(folder):
            pass


def _described(holder: str) -> str:
    try:
        found = json.loads(holder)
        return f"pid {found['pid']} on {found['host']}"
    except (ValueError, KeyError, TypeError):
        return f"it holds {NAME}"
