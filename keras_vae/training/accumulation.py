"""Gradient accumulation: a batch in several passes, one after another, for the step that all of it would give.

The parts are dealt as `keras_vae.data.Part` does, so that the perceptual loss sees the same images either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def pass_of(values: Any, number: tf.Tensor, count: int) -> Any:
    """Of each tensor (N, ...) of a structure the rows ``number``, ``number + count`` and so on: (N / count, ...)."""

    def rows(tensor: tf.Tensor | None) -> tf.Tensor | None:
        if tensor is None:
            return None
        size = tensor.shape[0] // count if tensor.shape[0] is not None else tf.shape(tensor)[0] // count
        dealt = tf.reshape(tensor, tf.concat([[size, count], tf.shape(tensor)[1:]], 0))
        chosen = tf.gather(dealt, number, axis=1)
        return tf.ensure_shape(chosen, (size if isinstance(size, int) else None, *tensor.shape[1:]))

    return tf.nest.map_structure(rows, values)


def mean_of_passes(function: Callable[[tf.Tensor], Any], count: int, zeros: Any) -> Any:
    """The mean of ``function(number)``, a structure of tensors like ``zeros``, over ``count`` passes.

    Only the sums are kept from one pass to the next.
    """

    def add(number: tf.Tensor, sums: Any) -> tuple[tf.Tensor, Any]:
        return number + 1, tf.nest.map_structure(tf.add, sums, function(number))

    def is_left(number: tf.Tensor, sums: Any) -> tf.Tensor:
        return number < count

    # One pass at a time: that is what saves memory.
    _, sums = tf.while_loop(is_left, add, (tf.constant(0), zeros), parallel_iterations=1, maximum_iterations=count)
    return tf.nest.map_structure(lambda total: total / count, sums)
