"""Several replicas of a trainer, on several devices or machines, in step with each other.

Each replica holds all weights and works on its part of every batch. Gradients and batch means are averaged over them
within the step; from there on every replica computes the same, and updates its own copies.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_vae.data import Part
from keras_vae.errors import InputError
from keras_vae.training.cluster import Cluster


def build_strategy(name: str, cluster: Cluster) -> tf.distribute.Strategy:
    """What `Execution.strategy` names. For several workers it has to be made before TensorFlow does anything else.

    Raises:
        InputError: when several workers are asked for and the environment names none.
    """
    if name == "auto":
        several = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"
        name = "multi-worker" if cluster.size > 1 else several
    if name == "multi-worker":
        if cluster.source is None:
            raise InputError(
                "--strategy multi-worker: neither TF_CONFIG nor Slurm names the workers; see docs/scaling.md"
            )
        resolvers = tf.distribute.cluster_resolver
        is_slurm = cluster.source == "Slurm"
        resolver = resolvers.SlurmClusterResolver() if is_slurm else resolvers.TFConfigClusterResolver()
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def own_part(strategy: tf.distribute.Strategy, cluster: Cluster) -> Part:
    """The parts of each batch that this process's replicas work on."""
    count = strategy.num_replicas_in_sync
    own = count // cluster.size if count > 1 else 1
    first = cluster.index * own if count > 1 else 0
    return Part(tuple(range(first, first + own)), count)


def distributed(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """This process's parts of the batches, handed to its replicas in turn."""
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.distribute_datasets_from_function(lambda _: batches)


def replicas() -> int:
    """How many there are, inside of a step or of a strategy's scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_multi_worker() -> bool:
    """Whether the replicas are on several workers."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy) and replicas() > 1


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


def from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The chief's value, on every worker, which wait for each other here."""
    if strategy.num_replicas_in_sync == 1:
        return value

    def of_replica(context: tf.distribute.distribution_strategy_context.ValueContext) -> tf.Tensor:
        return tf.constant(value if context.replica_id_in_sync_group == 0 else 0)

    values = strategy.experimental_distribute_values_from_function(of_replica)
    return int(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


def copies_of(variable: Any) -> tuple[tf.Variable, ...]:
    """A Keras variable's copies on this process's replicas. Reading one asks no other worker for its own."""
    value = variable.value
    return getattr(value, "values", (value,))
