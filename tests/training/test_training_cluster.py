"""Reading the workers from TF_CONFIG and Slurm."""

import json

import pytest

from keras_vae.errors import InputError
from keras_vae.training.cluster import Cluster, find_cluster

TWO = {"worker": ["a:1", "b:1"]}


def tf_config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_worker_is_the_chief(index):
    found = find_cluster(tf_config(TWO, index=index))

    assert found == Cluster(2, index, "TF_CONFIG")
    assert found.is_chief == (index == 0)


def test_a_chief_of_its_own_comes_before_the_workers():
    cluster = {"chief": ["c:1"], **TWO}

    assert find_cluster(tf_config(cluster, "chief")) == Cluster(3, 0, "TF_CONFIG")
    assert find_cluster(tf_config(cluster, "worker", 1)) == Cluster(3, 2, "TF_CONFIG")


def test_slurm_names_the_tasks_of_a_step():
    assert find_cluster({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}) == Cluster(4, 3, "Slurm")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{}"},
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_PROCID": "0"},
    ],
)
def test_a_process_that_nothing_names_is_alone(environment):
    assert find_cluster(environment).size == 1


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"TF_CONFIG": "worker"}, "TF_CONFIG is not"),
        ({"TF_CONFIG": "[1]"}, "TF_CONFIG is not"),
        ({"TF_CONFIG": "[" * 100_000}, "TF_CONFIG is not"),
        (tf_config(TWO, index=2), "the task is worker 2, but the cluster has only: worker 0, worker 1"),
        (tf_config(TWO, kind="ps"), "the task is ps 0"),
        (tf_config(TWO, index="x"), "TF_CONFIG is not"),
    ],
)
def test_what_is_no_cluster_is_refused(environment, says):
    with pytest.raises(InputError, match=says):
        find_cluster(environment)
