"""One process at a time in a run directory."""

import json
import os
import platform
import subprocess
import sys

import pytest

from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.run_lock import NAME, check_unlocked, run_lock

HOLD = """
import sys
from pathlib import Path
from keras_vae.training.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_the_lock_names_its_holder_and_goes_with_the_block(tmp_path):
    with run_lock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text()) == {"pid": os.getpid(), "host": platform.node()}
    assert not (tmp_path / NAME).exists()


def test_a_second_process_is_refused_with_the_pid_of_the_first(other_process, tmp_path):
    refused = f"another process trains into it \\(pid {other_process.pid} on {platform.node()}\\); wait for it"
    with pytest.raises(InputError, match=refused), run_lock(tmp_path):
        pass
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=refused):
        RunDirectory.create(tmp_path, overwrite=True)
    assert (tmp_path / "config.json").exists()


def test_what_a_killed_process_left_is_no_lock(other_process, tmp_path):
    other_process.kill()
    other_process.wait()
    assert (tmp_path / NAME).exists()
    with run_lock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()


def test_without_a_lock_file_nothing_is_made(tmp_path):
    check_unlocked(tmp_path)
    assert list(tmp_path.iterdir()) == []
