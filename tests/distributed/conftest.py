"""Tests of several replicas start their own processes, since TensorFlow must know its replicas before anything else."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster import outputs_of, run_alone, start_workers

STEPS = Path(__file__).with_name("steps.py")


@pytest.fixture(scope="session")
def train_alone(tmp_path_factory):
    """``train_alone(words)``: a run of `steps.py` on one device, in a process that makes all of these."""
    errors = tmp_path_factory.mktemp("alone") / "stderr"
    with open(errors, "w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, STEPS],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def train(words):
        process.stdin.write(shlex.join(map(str, words)) + "\n")
        process.stdin.flush()
        # Libraries may print lines of their own; at the end of the output, the process has failed.
        assert any(line == "done\n" for line in iter(process.stdout.readline, "")), errors.read_text("utf-8")

    with process:
        yield train
        process.stdin.close()
    assert process.returncode == 0, errors.read_text("utf-8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, train_alone):
    """``trained(*options, workers=1)``: for each worker, the arrays that `steps.py` wrote."""
    made = {}

    def arrays(*options, workers=1):
        if (options, workers) not in made:
            folder = tmp_path_factory.mktemp("steps")
            outs = [folder / f"{index}.npz" for index in range(workers)]
            if workers > 1:
                commands = [[sys.executable, STEPS, out, "--strategy", "multi-worker", *options] for out in outs]
                outputs_of(start_workers(commands))
            elif "mirrored" in options:
                run_alone(STEPS, outs[0], *options)  # TensorFlow's keys of exchanges clash with those of a second run
            else:
                train_alone([outs[0], *options])
            made[options, workers] = [dict(np.load(out)) for out in outs]
        return made[options, workers]

    return arrays
