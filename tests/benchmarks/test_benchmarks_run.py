"""Every benchmark runs at its smallest size: that it runs, not how fast."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PROGRAMS = [path for path in sorted(FOLDER.glob("*.py")) if 'if __name__ == "__main__":' in path.read_text("utf-8")]
# These need the extra bench, which the gate installs after all other tests.
WITH_PYTORCH = {"inference.py", "latent_diffusion.py", "likelihood.py", "photographs.py", "train_step.py"}
# This one needs Chromium and LiteRT.js: tests/explorer/test_explorer_programs.py runs it.
WITH_CHROMIUM = {"explore.py"}


def run(path, folder, *options):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run(
        [sys.executable, path, "--smoke", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert re.search(r", \d+ threads?, .*GPU", done.stdout), "it does not name the processor"
    assert not list(folder.iterdir())
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [path.name for path in PROGRAMS if path.name not in {*WITH_PYTORCH, *WITH_CHROMIUM, "start_up.py"}]
)
def test_a_benchmark_runs(name, tmp_path):
    run(FOLDER / name, tmp_path)


@pytest.mark.slow
def test_start_up_of_each_command_is_measured_and_of_one_beside_another_environment(tmp_path):
    # Here the other environment is the same one.
    printed = run(FOLDER / "start_up.py", tmp_path, "--before", sys.executable)
    assert re.findall(r"^\| (\w+) \|", printed, re.MULTILINE) == [
        *("train", "before", "now"),
        *("evaluate", "now", "export", "now", "experiment", "now"),
    ]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the extra bench is not installed")
@pytest.mark.parametrize("name", sorted(WITH_PYTORCH))
def test_a_benchmark_beside_pytorch_runs(name, tmp_path):
    run(FOLDER / name, tmp_path)


def test_every_other_module_serves_a_benchmark():
    sources = [path.read_text("utf-8") for path in FOLDER.glob("*.py")]
    for path in set(FOLDER.iterdir()) - set(PROGRAMS):
        if path.is_file():
            assert path.suffix == ".py"
            assert any(f"import {path.stem}\n" in text or f"from {path.stem} import" in text for text in sources), path
