"""Several replicas of a trainer, on several devices or machines, that stay in step.

Each replica holds all weights and works on its part of every batch. The step averages gradients and batch means over
the replicas, so that every replica makes the same update to its own copies.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from keras_vae.data import Part
from keras_vae.errors import InputError
from keras_vae.training.cluster import TF_CONFIG, Cluster


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The replicas that train together, and those of this process.

    Args:
        strategy: the trainer is built in its scope.
        cluster: the worker processes.
    """

    strategy: tf.distribute.Strategy = dataclasses.field(default_factory=tf.distribute.get_strategy)
    cluster: Cluster = dataclasses.field(default_factory=Cluster)

    @property
    def part(self) -> Part:
        """The parts of each batch that this process's replicas work on."""
        count = self.strategy.num_replicas_in_sync
        own = count // self.cluster.size
        first = self.cluster.index * own
        return Part(tuple(range(first, first + own)), count)

    def batches(self, batches: tf.data.Dataset) -> Any:
        """This process's parts of the batches, handed to its replicas in turn."""
        if self.strategy.num_replicas_in_sync == 1:
            return batches
        return self.strategy.distribute_datasets_from_function(lambda _: batches)

    def sum_over_workers(self, value: int) -> int:
        """The sum of all workers' values. Waits for every worker."""
        if self.cluster.size == 1:
            return value
        first = self.part.numbers[0]

        def of_replica(context: tf.distribute.distribution_strategy_context.ValueContext) -> tf.Tensor:
            return tf.constant(value if context.replica_id_in_sync_group == first else 0, tf.int64)

        values = self.strategy.experimental_distribute_values_from_function(of_replica)
        return int(self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def from_chief(self, value: int) -> int:
        """The chief's value. Waits for every worker."""
        return self.sum_over_workers(value if self.cluster.is_chief else 0)

    def check_same(self, description: dict[str, Any]) -> None:
        """Check that all workers were started alike; ``description`` says in JSON values what this one will do.

        Raises:
            InputError: if this worker's description differs from the chief's, or another worker's does.
        """
        text = json.dumps(description, sort_keys=True, default=str)
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        is_same = digest == self.from_chief(digest)
        with self.together():
            if not is_same:
                raise InputError("the chief was started with different settings or different data")

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the block on every worker before any of them goes on. The block itself must not wait for other workers.

        Raises:
            InputError: if the block failed on another worker.
        """
        problem = None
        try:
            yield
        except Exception as error:
            problem = error
        failed = self.sum_over_workers(int(problem is not None))
        if problem is not None:
            raise problem
        if failed:
            raise InputError(f"{failed} of the {self.cluster.size - 1} other workers cannot start; see their output")


def build_distribution(strategy: str, cluster: Cluster) -> Distribution:
    """The distribution that `Execution.strategy` names. For several workers, build it before TensorFlow does anything.

    Raises:
        InputError: if several workers are asked for but the environment names none, or their numbers of GPUs differ.
    """
    if strategy == "auto":
        several = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"
        strategy = "multi-worker" if cluster.size > 1 else several
    if strategy == "multi-worker":
        if cluster.source is None:
            raise InputError(
                "--strategy multi-worker: neither TF_CONFIG nor Slurm names the workers; see docs/scaling.md"
            )
        found = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=_resolver(cluster))
        if len(found.extended.worker_devices) * cluster.size != found.num_replicas_in_sync:
            raise InputError("--strategy multi-worker: every worker needs the same number of GPUs, or none")
        return Distribution(found, cluster)
    if strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))
    return Distribution()


def _resolver(cluster: Cluster) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The workers' addresses."""
    if cluster.source == TF_CONFIG:
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    # Slurm assigns GPUs itself (--gpus-per-task). The resolver would leave out tasks for which it counts none.
    return tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=20_000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10_000,  # two jobs may share a machine
        gpus_per_node=cluster.size,
        gpus_per_task=1,
        auto_set_gpu=False,
    )


def replicas() -> int:
    """The number of replicas. Call this inside a step or a strategy's scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_multi_worker() -> bool:
    """Whether the replicas are spread over several workers."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def rows_of_replica(values: tf.Tensor) -> tf.Tensor:
    """This replica's rows (`Part`) of values for a whole batch."""
    count = replicas()
    if count == 1:
        return values
    return values[tf.distribute.get_replica_context().replica_id_in_sync_group :: count]


def mean_over_replicas(values: Any) -> Any:
    """The mean over replicas of each tensor in a structure. Every replica gets the same result."""
    return _reduced(tf.distribute.ReduceOp.MEAN, values)


def sum_over_replicas(values: Any) -> Any:
    """The sum over replicas of each tensor in a structure. Every replica gets the same result."""
    return _reduced(tf.distribute.ReduceOp.SUM, values)


def _reduced(operation: tf.distribute.ReduceOp, values: Any) -> Any:
    if replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(operation, values)


def copies_of(variable: Any) -> tuple[tf.Variable, ...]:
    """A Keras variable's copies on this process's replicas. Reading them involves no other worker."""
    value = variable.value
    return getattr(value, "values", (value,))
