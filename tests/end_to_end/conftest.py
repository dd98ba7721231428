"""One small run that the tests in this folder share, and the command without a new process."""

import subprocess
import sys

import pytest
from idx_files import write_digits
from installed_command import SMALL, run_command

from keras_vae_cli import main


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    """A folder to run commands in, with the data set ``idx:mnist``."""
    folder = tmp_path_factory.mktemp("workplace")
    write_digits(folder / "mnist")
    return folder


@pytest.fixture(scope="session")
def trained(workplace):
    """A run of two epochs on real digits; the completed process and the run's directory."""
    options = ("--latent", 3, "--dataset", "idx:mnist", "--epochs", 2, "--run-dir", "runs/small")
    done = run_command("train", *options, *SMALL, cwd=workplace)
    assert done.returncode == 0, done.stderr
    return done, workplace / "runs" / "small"


@pytest.fixture
def refusal_here(run_here):
    """``refusal_here(arguments…, cwd=…)``: the line of a command that is refused and leaves the folder as it was."""

    def refusal(*arguments, cwd):
        before = sorted(cwd.rglob("*"))
        done = run_here(*arguments, cwd=cwd)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert sorted(cwd.rglob("*")) == before
        return line

    return refusal


@pytest.fixture
def run_here(monkeypatch, capfd):
    """``run_here(arguments…, cwd=…)``: as `run_command`, in this process, where TensorFlow is imported once."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
        monkeypatch.setattr(sys, "argv", ["keras-vae", *map(str, arguments)])
        capfd.readouterr()
        code = main._run(False)
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return run
