"""Gradient accumulation: compute a batch in several passes and make the step that the whole batch would give.

Passes take rows in turn, as `keras_vae.data.Part` does, so that the perceptual loss sees the same images either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def pass_of(values: Any, number: tf.Tensor, count: int) -> Any:
    """Rows ``number``, ``number + count``, … of each tensor (N, ...) in a structure: (N / count, ...)."""

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

    Only the running sums are kept between passes.
    """

    def add(number: tf.Tensor, sums: Any) -> tuple[tf.Tensor, Any]:
        return number + 1, tf.nest.map_structure(tf.add, sums, function(number))

    def is_left(number: tf.Tensor, sums: Any) -> tf.Tensor:
        return number < count

    # Running one pass at a time is what saves memory.
    _, sums = tf.while_loop(is_left, add, (tf.constant(0), zeros), parallel_iterations=1, maximum_iterations=count)
    return tf.nest.map_structure(lambda total: total / count, sums)
