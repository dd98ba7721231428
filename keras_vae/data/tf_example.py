"""Serialised tf.Examples to tensors, whatever the bytes."""

from typing import Any

import tensorflow as tf


def parse_examples(serialized: tf.Tensor, features: dict[str, Any]) -> dict[str, tf.Tensor]:
    """`tf.io.parse_example` of strings (N,), with an error where one is no tf.Example.

    The parser of TensorFlow up to 2.21 is fast and believes a string's length, even beyond the end: it then writes
    where it must not (tensorflow/tensorflow#120631). So that of Protocol Buffers reads each first.

    Raises:
        tf.errors.DataLossError: when one is not well-formed.
        tf.errors.InvalidArgumentError: when one lacks a feature, or has it in another type or number.
    """
    # An empty message more, because it refuses an empty batch.
    messages = tf.concat([serialized, [b""]], axis=0)
    sizes, _ = tf.io.decode_proto(messages, "tensorflow.Example", ["features"], [tf.string], sanitize=True)
    # TensorFlow leaves out what nothing uses, but no assertion; this one always holds.
    is_read = tf.debugging.Assert(tf.reduce_all(sizes <= 1), ["more than one message"])
    with tf.control_dependencies([is_read]):
        parsed: dict[str, tf.Tensor] = tf.io.parse_example(serialized, features)
        return parsed
