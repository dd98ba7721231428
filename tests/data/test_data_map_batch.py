"""A function over a batch, several elements a turn, against `tf.map_fn`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.data.map_batch import map_batch


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 40])
def test_every_element_is_mapped_in_order_whatever_the_number(count):
    batch = tf.reshape(tf.range(3 * count), (count, 3))
    spec = tf.TensorSpec((3, 2), tf.int32)

    def pair(element):
        return tf.stack([element, element * element], axis=-1)

    def mapped(batch):
        return map_batch(pair, batch, spec)

    for function in (
        mapped,
        tf.function(mapped, autograph=False, input_signature=[tf.TensorSpec((None, 3), tf.int32)]),
    ):
        result = function(batch)
        np.testing.assert_array_equal(result, np.stack([batch, batch * batch], axis=-1))


def test_an_element_that_fails_fails_the_batch():
    with pytest.raises(tf.errors.InvalidArgumentError):
        map_batch(tf.io.decode_png, tf.constant([b"not an image"] * 20), tf.TensorSpec((2, 2, 1), tf.uint8))
