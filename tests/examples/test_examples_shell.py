"""The shell examples, with stand-ins for Docker and Slurm in PATH; tests/docs trains with `local_workers.sh`."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keras_vae_cli.train import command as train

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def stand_in(tmp_path):
    """``stand_in("docker", "exit 3")``: a program that adds its arguments to ``docker.log``, then exits so."""
    (tmp_path / "programs").mkdir()

    def write(name, then="exit 0"):
        program = tmp_path / "programs" / name
        log = tmp_path / f"{name}.log"
        program.write_text(f'#!/bin/bash\nprintf "%q " "$@" >> {log}\necho >> {log}\n{then}\n', encoding="utf-8")
        program.chmod(0o755)
        return log

    return write


@pytest.fixture
def run(tmp_path):
    """Run an example with the stand-ins first in PATH, then this environment's programs."""
    path = os.pathsep.join((str(tmp_path / "programs"), str(Path(sys.executable).parent), os.environ["PATH"]))

    def run(name, *arguments, **environment):
        return subprocess.run(
            [EXAMPLES / name, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def calls(log):
    """The arguments of each call."""
    return [shlex.split(line) for line in log.read_text(encoding="utf-8").splitlines()]


def train_options(words):
    """What ``keras-vae train`` makes of the words; refuses what it does not know."""
    assert words[0] == "train"
    return train.make_context("train", words[1:]).params


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_an_example_can_be_executed_and_parsed(path):
    assert os.access(path, os.X_OK)
    shell = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#!")
    subprocess.run([shell, "-n", path], check=True)


def test_docker_serve_mounts_the_model_under_its_name(stand_in, run, tmp_path):
    log, model = stand_in("docker"), tmp_path / "exports" / "digits"
    model.mkdir(parents=True)

    assert run("docker_serve.sh", "exports/digits", "--enable_batching=true").returncode == 0

    (words,) = calls(log)
    assert words[:2] == ["run", "--rm"]
    assert words[words.index("--mount") + 1] == f"type=bind,source={model},target=/models/digits,readonly"
    assert words[words.index("-e") + 1] == "MODEL_NAME=digits"
    assert words[-2:] == ["tensorflow/serving", "--enable_batching=true"]


def test_docker_serve_needs_a_model(stand_in, run):
    log = stand_in("docker")

    for arguments in ((), ("exports/none",)):
        assert run("docker_serve.sh", *arguments).returncode != 0

    assert not log.exists()


def test_slurm_starts_a_run_with_options_that_train_takes(stand_in, run, tmp_path):
    log = stand_in("keras-vae")
    stand_in("srun", 'exec "$@"')

    assert run("slurm.sh").returncode == 0

    (words,) = calls(log)
    options = train_options(words)
    assert (options["preset"], options["data__dataset"]) == ("photos128", f"folder:{tmp_path}/photos")
    assert "--resume" not in words


def test_slurm_goes_on_with_a_run_and_asks_for_time_again_after_a_signal(stand_in, run, tmp_path):
    trained, requeued = stand_in("keras-vae", "exit 143"), stand_in("scontrol")
    stand_in("srun", 'exec "$@"')
    folder = tmp_path / "runs" / "photos"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")

    assert run("slurm.sh", SLURM_JOB_ID="17").returncode == 143

    (words,) = calls(trained)
    assert words == ["train", "--resume", "--run-dir", str(folder)]
    train_options(words)
    assert calls(requeued) == [["requeue", "17"]]


def test_slurm_does_not_repeat_a_run_that_failed(stand_in, run):
    stand_in("keras-vae", "exit 1")
    stand_in("srun", 'exec "$@"')
    requeued = stand_in("scontrol")

    assert run("slurm.sh", SLURM_JOB_ID="17").returncode == 1

    assert not requeued.exists()


def test_local_workers_tell_each_other_their_addresses(stand_in, run, tmp_path):
    stand_in("keras-vae", f'echo "$TF_CONFIG" > {tmp_path}/config.$BASHPID')

    assert run("local_workers.sh", 3, "train", "--latent", 2).returncode == 0

    configs = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("config.*")]
    assert sorted(config["task"]["index"] for config in configs) == [0, 1, 2]
    assert all(config["cluster"] == configs[0]["cluster"] for config in configs)
    assert len(set(configs[0]["cluster"]["worker"])) == 3


def test_local_workers_end_with_the_code_of_a_worker_that_failed(stand_in, run):
    stand_in("keras-vae", 'case "$TF_CONFIG" in *\'"index": 0\'*) exit 5;; esac')

    assert run("local_workers.sh", 2, "train").returncode == 5
