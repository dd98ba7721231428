"""The programs that drive the page in Chromium, at their smallest size."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(chromium, runtime_folder, tmp_path):
    """``run(program, options…)``: what a program of the checkout prints."""

    def run_one(program, *options):
        command = [sys.executable, ROOT / program, "--runtime", runtime_folder, *options]
        # A page that waits for ever must not hold up all tests.
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_one


def test_the_benchmark_measures_the_page_as_a_file_and_served(run):
    printed = run("benchmarks/explore.py", "--smoke")
    assert re.search(r", \d+ threads?, .*GPU", printed)
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| mnist-latent2")]
    assert [row[1] for row in rows] == ["file", "served"]
    assert all(float(row[-1].strip(" |")) > 0 for row in rows)


def test_record_explorer_records_dragging_drawing_and_a_walk(run, tmp_path):
    run(
        "scripts/record_explorer.py",
        "--run",
        ROOT / "saved_models" / "mnist-latent2",
        "--steps",
        "1",
        "--out",
        "explorer.gif",
    )
    with Image.open(tmp_path / "explorer.gif") as animation:
        assert animation.n_frames > 30
        assert animation.width == 520
