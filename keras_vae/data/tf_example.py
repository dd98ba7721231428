"""Parsing serialised tf.Examples safely, whatever the bytes."""

from typing import Any

import tensorflow as tf


def parse_examples(serialized: tf.Tensor, features: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Apply `tf.io.parse_example` to strings (N,), with an error if one is not a tf.Example.

    The fast parser of TensorFlow up to 2.21 trusts the length of a string even beyond the end of the message, and then
    writes to memory that is not its own (tensorflow/tensorflow#120631). Protocol Buffers' parser therefore reads each
    message first.

    Raises:
        tf.errors.DataLossError: when a message is malformed.
        tf.errors.InvalidArgumentError: when a feature is missing, or has another type or number of values.
    """
    # The extra empty message is needed because decode_proto refuses an empty batch.
    messages = tf.concat([serialized, [b""]], axis=0)
    sizes, _ = tf.io.decode_proto(messages, "tensorflow.Example", ["features"], [tf.string], sanitize=True)
    # This assertion always holds. It keeps TensorFlow from removing decode_proto as unused.
    is_read = tf.debugging.Assert(tf.reduce_all(sizes <= 1), ["more than one message"])
    with tf.control_dependencies([is_read]):
        parsed: dict[str, tf.Tensor] = tf.io.parse_example(serialized, features)
        return parsed
