"""Tests of several replicas start their own processes, since TensorFlow must know its replicas before anything else."""

import sys
from pathlib import Path

import numpy as np
import pytest
from cluster import outputs_of, run_alone, start_workers

STEPS = Path(__file__).with_name("steps.py")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """``trained(*options, workers=1)``: for each worker, the arrays that `steps.py` wrote."""
    made = {}

    def arrays(*options, workers=1):
        if (options, workers) not in made:
            folder = tmp_path_factory.mktemp("steps")
            outs = [folder / f"{index}.npz" for index in range(workers)]
            if workers == 1:
                run_alone(STEPS, outs[0], *options)
            else:
                commands = [[sys.executable, STEPS, out, "--strategy", "multi-worker", *options] for out in outs]
                outputs_of(start_workers(commands))
            made[options, workers] = [dict(np.load(out)) for out in outs]
        return made[options, workers]

    return arrays
