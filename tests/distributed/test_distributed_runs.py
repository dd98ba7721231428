"""`keras-vae train` as several workers: only the chief writes, all stop together, and any number of them resumes."""

import csv
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cluster import by_slurm, by_tf_config, outputs_of, start_workers

sys.path.append(str(Path(__file__).parents[1] / "end_to_end"))
from idx_files import write_digits
from installed_command import COMMAND, bare_environment, run_command

pytestmark = pytest.mark.distributed

EPOCHS = 2
# A model, a loss and an optimizer that are quick to trace, since every process does; test_distributed_steps.py compares
# steps with all of them.
TRAIN = (
    *("train", "--latent", "2", "--epochs", str(EPOCHS), "--batch-size", "20", "--optimizer", "adamw"),
    *("--widths", "8,16", "--groups", "4", "--mapping-layers", "0", "--attention-resolution", "0"),
    *("--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0"),
    *("--precision", "float32", "--run-dir", "run", "--no-pictures"),
)
RESUME = ("train", "--resume", "--run-dir", "run")


def workers_in(folders, *arguments, others=None, told_by=by_tf_config):
    """Start a worker in each folder; ``others`` replaces the arguments of all but the chief."""
    commands = [[COMMAND, *arguments], *([COMMAND, *(others or arguments)] for _ in folders[1:])]
    return start_workers(commands, folders=folders, environment=bare_environment(), told_by=told_by)


def wait_for_checkpoint(run, processes, timeout=240):
    """Wait until there is a checkpoint from within an epoch."""
    end = time.monotonic() + timeout
    while not any((run / "checkpoints").glob("epoch_*_step_*[1-9]*")):
        assert time.monotonic() < end, "no checkpoint"
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        time.sleep(0.05)


def rows_of(run):
    with open(run / "metrics.csv", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def last_state(run):
    with np.load(run / "checkpoints" / f"epoch_{EPOCHS:04}_step_00000" / "state.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """The words of the command that trains on a few digits."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return (*TRAIN, "--dataset", f"idx:{folder}")


@pytest.fixture(scope="module")
def alone(train, tmp_path_factory):
    """The run of a single process."""
    folder = tmp_path_factory.mktemp("alone")
    done = run_command(*train, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def assert_same_run(run, alone):
    """Compare figures and weights to float tolerance."""
    found, expected = rows_of(run), rows_of(alone)
    assert len(found) == len(expected) == EPOCHS
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in ("train_nll", "train_kl", "train_loss", "train_mse", "test_elbo", "test_mse", "test_psnr"):
            assert one[name] == pytest.approx(other[name], rel=0.01), name
    state = last_state(run)
    for name, array in last_state(alone).items():
        if name.startswith(("vae", "ema_vae")):
            np.testing.assert_allclose(state[name], array, rtol=0.02, atol=2e-3, err_msg=name)


def test_two_workers_make_one_run_which_the_chief_writes(alone, train, tmp_path):
    folders = [tmp_path / "chief", tmp_path / "worker"]
    processes = workers_in(folders, *train)

    chief, worker = outputs_of(processes)

    assert "2 replicas, 10 images of a batch each" in chief
    assert_same_run(folders[0] / "run", alone)
    assert not any(folders[1].iterdir()), "a worker wrote something"
    assert "Traceback" not in chief + worker
    assert run_command("evaluate", "run", "--importance-samples", "2", cwd=folders[0]).returncode == 0


def test_a_signal_to_one_worker_stops_all_with_a_checkpoint_that_one_process_goes_on_from(alone, train, tmp_path):
    processes = workers_in([tmp_path] * 2, *train, "--checkpoint-every", "0.001min")
    wait_for_checkpoint(tmp_path / "run", processes)

    processes[1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=120)[0] for process in processes]

    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * 2, outputs
    assert "stopped after" in outputs[0]
    assert "--resume" in outputs[0]
    done = run_command(*RESUME, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_run(tmp_path / "run", alone)


def test_a_worker_that_is_killed_ends_the_run_which_two_others_go_on_with_as_slurm_tells_them(alone, train, tmp_path):
    processes = workers_in([tmp_path] * 2, *train, "--checkpoint-every", "0.001min", told_by=by_slurm)
    wait_for_checkpoint(tmp_path / "run", processes)

    processes[1].kill()
    output = processes[0].communicate(timeout=240)[0]

    assert processes[0].returncode == 1, output
    assert "the connection to another worker was lost; the last complete checkpoint is" in output
    assert "Traceback" not in output
    chief, worker = outputs_of(workers_in([tmp_path] * 2, *RESUME, told_by=by_slurm))
    assert "continuing after" in chief
    assert "2 replicas, 10 images of a batch each" in chief
    assert "Traceback" not in chief + worker
    assert_same_run(tmp_path / "run", alone)


def test_where_the_chief_cannot_start_no_worker_does(train, tmp_path):
    folders = [tmp_path / "chief", tmp_path / "worker"]
    (folders[0] / "run").mkdir(parents=True)
    (folders[0] / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    processes = workers_in(folders, *train)

    chief, worker = (process.communicate(timeout=120)[0] for process in processes)

    assert [process.returncode for process in processes] == [2, 2], chief + worker
    assert "keras-vae: run: " in chief
    assert "1 of the 1 other workers cannot start" in worker


def test_workers_with_different_settings_do_not_train_together(train, tmp_path):
    folders = [tmp_path / "chief", tmp_path / "worker"]
    processes = workers_in(folders, *train, others=(*train, "--beta", "2"))

    chief, worker = (process.communicate(timeout=120)[0] for process in processes)

    assert [process.returncode for process in processes] == [2, 2], chief + worker
    assert "the chief was started with different settings" in worker
    assert not (folders[0] / "run").exists()
