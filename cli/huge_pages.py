"""Huge memory pages, which a process must request before it starts.

A training step allocates and frees buffers of several megabytes. It is faster with pages of 2 MB than of 4 KB: compare
``GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/train_step.py`` with the same command without the variable.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_TUNABLE = "glibc.malloc.hugetlb"
_FIRST_GLIBC = (2, 35)  # the first with this tunable


def start_again_with_huge_pages() -> None:
    """Restart this process so that glibc's malloc requests huge pages, if Linux grants them on request.

    Does nothing if Linux grants them always or never, if the C library is not glibc 2.35 or newer, or if
    ``GLIBC_TUNABLES`` mentions them already, as it does after the restart.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if _TUNABLE in tunables or not sys.executable or not _are_on_demand():
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, (tunables, f"{_TUNABLE}=1")))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _are_on_demand() -> bool:
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < _FIRST_GLIBC:
        return False
    try:
        return "[madvise]" in _MODE.read_text(encoding="utf-8")
    except OSError:
        return False
