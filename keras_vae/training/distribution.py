"""Several replicas of a trainer, on several devices or machines, in step with each other.

Each replica holds all weights and works on its part of every batch. Gradients and batch means are averaged over them
within the step; from there on every replica computes the same, and updates its own copies.
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
    """The replicas that train together, and which of them this process has.

    Args:
        strategy: in whose scope the trainer is made.
        cluster: the processes.
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
        """The sum of every worker's value; they wait for each other here."""
        if self.cluster.size == 1:
            return value
        first = self.part.numbers[0]

        def of_replica(context: tf.distribute.distribution_strategy_context.ValueContext) -> tf.Tensor:
            return tf.constant(value if context.replica_id_in_sync_group == first else 0, tf.int64)

        values = self.strategy.experimental_distribute_values_from_function(of_replica)
        return int(self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def from_chief(self, value: int) -> int:
        """The chief's value; the workers wait for each other here."""
        return self.sum_over_workers(value if self.cluster.is_chief else 0)

    def check_same(self, description: dict[str, Any]) -> None:
        """Check that every worker was started alike: ``description`` is what it does, as JSON can say it.

        Raises:
            InputError: when a worker's differs from the chief's.
        """
        text = json.dumps(description, sort_keys=True, default=str)
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        is_same = digest == self.from_chief(digest)
        with self.together():
            if not is_same:
                raise InputError("the chief was started with other settings, or has other data")

    @contextmanager
    def together(self) -> Iterator[None]:
        """What every worker has to do before any goes on; what is done inside may not wait for other workers.

        Raises:
            InputError: when another worker failed at it.
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
            raise InputError(f"{failed} of the {self.cluster.size - 1} other workers cannot start; see what they say")


def build_distribution(strategy: str, cluster: Cluster) -> Distribution:
    """What `Execution.strategy` names. For several workers it has to be made before TensorFlow does anything else.

    Raises:
        InputError: when several workers are asked for and the environment names none, or when they have unequal numbers
            of GPUs.
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
            raise InputError("--strategy multi-worker: every worker needs equally many GPUs, or none")
        return Distribution(found, cluster)
    if strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Distribution(tf.distribute.MirroredStrategy([device.name for device in devices]))
    return Distribution()


def _resolver(cluster: Cluster) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Addresses of the workers."""
    if cluster.source == TF_CONFIG:
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    # Slurm deals out GPUs itself (--gpus-per-task). The resolver would leave out tasks for which it counts none.
    return tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=20_000 + int(os.environ.get("SLURM_JOB_ID", "0")) % 10_000,  # two jobs may share a machine
        gpus_per_node=cluster.size,
        gpus_per_task=1,
        auto_set_gpu=False,
    )


def replicas() -> int:
    """How many there are, inside of a step or of a strategy's scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_multi_worker() -> bool:
    """Whether the replicas are on several workers."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def rows_of_replica(values: tf.Tensor) -> tf.Tensor:
    """Of values for a whole batch, those for this replica's part of it (`Part`)."""
    count = replicas()
    if count == 1:
        return values
    return values[tf.distribute.get_replica_context().replica_id_in_sync_group :: count]


def mean_over_replicas(values: Any) -> Any:
    """The mean of each tensor of a structure, the same on every replica."""
    return _reduced(tf.distribute.ReduceOp.MEAN, values)


def sum_over_replicas(values: Any) -> Any:
    """The sum of each tensor of a structure, the same on every replica."""
    return _reduced(tf.distribute.ReduceOp.SUM, values)


def _reduced(operation: tf.distribute.ReduceOp, values: Any) -> Any:
    if replicas() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(operation, values)


def copies_of(variable: Any) -> tuple[tf.Variable, ...]:
    """A Keras variable's copies on this process's replicas. Reading one asks no other worker for its own."""
    value = variable.value
    return getattr(value, "values", (value,))
