"""A process starts again with huge pages where they are given on demand, once, and as it was called."""

import os
import subprocess
import sys

import pytest

from keras_vae_cli import huge_pages

SCRIPT = """
import os, pathlib, sys
from keras_vae_cli import huge_pages
huge_pages._MODE = pathlib.Path(sys.argv[1])
huge_pages.platform.libc_ver = lambda: ("glibc", "2.36")
huge_pages.start_again_with_huge_pages()
print(os.getpid(), os.environ["GLIBC_TUNABLES"], sys.argv[2:])
"""


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What the process was replaced by, when the kernel's setting says ``mode``, with glibc ``version``."""

    def start(mode="always [madvise] never", library=("glibc", "2.36"), tunables=""):
        (tmp_path / "enabled").write_text(mode)
        monkeypatch.setattr(huge_pages, "_MODE", tmp_path / "enabled")
        monkeypatch.setattr(huge_pages.platform, "libc_ver", lambda: library)
        monkeypatch.setenv("GLIBC_TUNABLES", tunables)
        calls = []
        monkeypatch.setattr(os, "execv", lambda *arguments: calls.append(arguments))
        huge_pages.start_again_with_huge_pages()
        return calls

    return start


def test_the_process_is_replaced_by_itself_with_other_tunables_kept(started):
    assert started(tunables="glibc.malloc.arena_max=2") == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(
    "setting",
    [
        {"mode": "[always] madvise never"},
        {"mode": "always madvise [never]"},
        {"library": ("glibc", "2.31")},
        {"library": ("", "")},
        {"tunables": "glibc.malloc.hugetlb=0"},
    ],
    ids=str,
)
def test_nothing_happens_where_it_would_not_help_or_was_decided(started, setting):
    assert started(**setting) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages of Linux")
def test_a_process_keeps_its_number_and_arguments(tmp_path):
    (tmp_path / "enabled").write_text("always [madvise] never")
    environment = {**os.environ, "GLIBC_TUNABLES": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "enabled", "a b", "--c"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.communicate(timeout=60)[0] == f"{process.pid} glibc.malloc.hugetlb=1 ['a b', '--c']\n"
