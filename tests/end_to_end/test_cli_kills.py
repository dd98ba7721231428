"""Training that is killed at any moment resumes as if nothing had happened; ``pytest --kills 50`` tries many moments.

The model is small, since starting takes most of the time, and kills come while it trains or draws. `tests/callbacks`
interrupts training with both players and Muon after each of its steps.
"""

import csv
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from idx_files import write_split
from installed_command import COMMAND, bare_environment

pytestmark = pytest.mark.slow

EPOCHS, TRAIN_IMAGES, TEST_IMAGES = 2, 90, 20
TRAIN = (
    *("train", "--dataset", "idx:noise", "--latent", "2", "--epochs", str(EPOCHS), "--batch-size", "10"),
    *("--widths", "8", "--groups", "4", "--mapping-layers", "0", "--attention-resolution", "0"),
    *("--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0", "--precision", "float32"),
    *("--optimizer", "adamw", "--run-dir", "run"),
)
# A checkpoint after every step, so that a kill may come while one is written.
OFTEN = ("--checkpoint-every", "0.0001min")


@pytest.fixture
def kills(request):
    return request.config.getoption("--kills")


def start(cwd, *arguments):
    return subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=cwd,
        env=bare_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_it_trains(process, run, is_resumed):
    """Until the run is described, or a resumed one says where it goes on; or the process ends."""
    if is_resumed:
        process.stderr.readline()
        return
    while process.poll() is None and not (run / "config.json").exists():
        time.sleep(0.005)


def outcome(run):
    """Everything that must be the same: metrics except times, frames, and the last checkpoint."""
    with open(run / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
        row.pop("images_per_second")
    arrays = {}
    frames = sorted((run / "checkpoints" / "frames").iterdir())
    for path in (*frames, run / "checkpoints" / f"epoch_{EPOCHS:04}_step_00000" / "state.npz"):
        with np.load(path) as found:
            arrays |= {f"{path.name} {name}": found[name] for name in found.files}
    return rows, arrays


def assert_same_outcome(found, expected):
    (rows, arrays), (expected_rows, expected_arrays) = found, expected
    assert rows == expected_rows
    assert arrays.keys() == expected_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected_arrays[name], err_msg=name)


def write_noise(folder):
    random = np.random.default_rng(0)
    for prefix, count in (("train", TRAIN_IMAGES), ("t10k", TEST_IMAGES)):
        write_split(folder, prefix, random.integers(0, 256, (count, 12, 12)), np.arange(count) % 10)


def test_a_run_that_was_killed_again_and_again_ends_as_an_unbroken_one(kills, tmp_path, run_here):
    unbroken = tmp_path / "unbroken"
    for folder in (tmp_path, unbroken):
        write_noise(folder / "noise")
    done = run_here(*TRAIN, cwd=unbroken)
    assert done.returncode == 0, done.stderr
    seconds = time.time() - (unbroken / "run" / "config.json").stat().st_mtime
    expected = outcome(unbroken / "run")
    random = np.random.default_rng(0)

    run, arguments, killed = tmp_path / "run", TRAIN, 0
    while True:
        is_resumed = arguments is not TRAIN
        process = start(tmp_path, *arguments, *OFTEN)
        try:
            wait_until_it_trains(process, run, is_resumed)
            # The first kill comes before the first checkpoint.
            process.wait(0 if killed == 0 else random.uniform(0, 1) * seconds if killed < kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            assert killed > 1 or not any(run.glob("checkpoints/epoch_*"))
            # Killed before there was a run, it can be started again as if nothing had happened.
            arguments = ("train", "--resume", "--run-dir", "run") if (run / "config.json").exists() else TRAIN
        else:
            assert process.returncode == 0, process.stderr.read()
            assert_same_outcome(outcome(run), expected)
            assert not list(run.rglob(".*"))
            if killed == kills:
                break
            # The remaining kills go to another run.
            shutil.rmtree(run)
            arguments = TRAIN
