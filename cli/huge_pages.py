"""Memory in huge pages, which a process has to ask for before it starts.

A training step allocates and frees buffers of megabytes all the time. In pages of 2 MB it takes less time than in pages
of 4 KB: ``GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/train_step.py`` against the same without.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_TUNABLE = "glibc.malloc.hugetlb"
_FIRST_GLIBC = (2, 35)  # that has the tunable


def start_again_with_huge_pages() -> None:
    """Replace this process by itself with glibc's malloc asking for huge pages, where that is what they wait for.

    Nothing happens where Linux gives them unasked or never, where glibc is too old or another C library, and where
    ``GLIBC_TUNABLES`` says something of them already, as it does the second time.
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
