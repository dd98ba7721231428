"""The machines that train one model together, read from the environment. Imports neither Keras nor TensorFlow.

Kubernetes' TFJob and most launchers set ``TF_CONFIG``; Slurm sets its own variables.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

from keras_vae.errors import InputError

TF_CONFIG, SLURM_TASKS, SLURM_RANK = "TF_CONFIG", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"
_ROLES = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of one run, and the number of this process among them.

    Args:
        size: number of workers.
        index: this worker's number; 0 is the chief, which writes the run directory.
        source: what named the workers, "TF_CONFIG" or "Slurm"; None for a single process.
    """

    size: int = 1
    index: int = 0
    source: str | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run directory."""
        return self.index == 0


def find_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The workers that the environment names, or this process alone.

    Raises:
        InputError: if ``TF_CONFIG`` is set but does not describe a cluster that includes this worker.
    """
    if environment.get(TF_CONFIG):
        return _from_tf_config(environment[TF_CONFIG])
    tasks, rank = environment.get(SLURM_TASKS, ""), environment.get(SLURM_RANK, "")
    if tasks.isdecimal() and rank.isdecimal() and int(tasks) > 1:
        return Cluster(int(tasks), int(rank), "Slurm")
    return Cluster()


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        workers = [(role, index) for role in _ROLES for index in range(len(config.get("cluster", {}).get(role, [])))]
        task = config.get("task", {})
        role, number = task.get("type"), int(task.get("index", 0))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f'{TF_CONFIG} is not {{"cluster": {{"worker": [...]}}, "task": {{...}}}} ({error})') from error
    if not workers:
        return Cluster()  # some launchers write this for a job of one process
    if (role, number) not in workers:
        known = ", ".join(f"{role} {number}" for role, number in workers)
        raise InputError(f"{TF_CONFIG}: the task is {role} {number}, but the cluster has only: {known}")
    return Cluster(len(workers), workers.index((role, number)), TF_CONFIG)
