"""Training that is killed at any moment resumes as if nothing had happened; ``pytest --kills 50`` tries many moments.

The model is small, since starting takes most of the time. `tests/callbacks` interrupts training with both players
after each of its steps.
"""

import csv
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from installed_command import COMMAND, bare_environment

EPOCHS = 2
TRAIN = (
    *("train", "--dataset", "sample", "--latent", "2", "--epochs", str(EPOCHS), "--batch-size", "500"),
    *("--widths", "8", "--groups", "4", "--mapping-width", "16", "--attention-resolution", "0"),
    *("--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0", "--precision", "float32"),
    *("--run-dir", "run"),
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


def wait_for(path, process):
    """Until ``path`` is there."""
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
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


def test_a_run_that_was_killed_again_and_again_ends_as_an_unbroken_one(kills, tmp_path):
    (tmp_path / "unbroken").mkdir()
    begin = time.monotonic()
    unbroken = start(tmp_path / "unbroken", *TRAIN)
    assert unbroken.wait() == 0, unbroken.stderr.read()
    seconds = time.monotonic() - begin
    expected = outcome(tmp_path / "unbroken" / "run")
    random = np.random.default_rng(0)

    run, arguments, killed = tmp_path / "run", TRAIN, 0
    while True:
        process = start(tmp_path, *arguments, *OFTEN)
        try:
            if killed == 0:
                wait_for(run / "config.json", process)  # the first kill comes before the first checkpoint
            process.wait(0 if killed == 0 else random.uniform(0.2, 1.0) * seconds if killed < kills else None)
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
