"""What TensorFlow's registry of custom gradients holds of a graph that is gone."""

import gc
import weakref

import keras
import numpy as np
import pytest

from keras_vae.layers import GroupNorm

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends have no such registry")

IMAGES = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")


def traced(layer):
    import tensorflow as tf

    function = tf.function(lambda images: tf.reduce_sum(keras.ops.silu(layer(images)) ** 2))
    function(tf.constant(IMAGES))
    return function


def test_the_graph_of_a_function_is_freed_with_it():
    layer = GroupNorm(activation="silu")
    graphs = []
    for _ in range(3):
        function = traced(layer)
        graphs.append(weakref.ref(function.get_concrete_function(IMAGES).graph))
        del function

    gc.collect()

    # The activation after the last normalisation is let go with the next one that is traced.
    assert [graph() is None for graph in graphs[:2]] == [True, True]


def test_a_function_that_is_alive_can_be_differentiated_after_others_were_freed():
    import tensorflow as tf

    layer = GroupNorm(activation="silu")
    function = traced(layer)
    traced(layer)
    gc.collect()
    images = tf.constant(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        from_graph = function(images)
        eager = tf.reduce_sum(keras.ops.silu(layer(images)) ** 2)

    # Sums in another order, float32.
    np.testing.assert_allclose(tape.gradient(from_graph, images), tape.gradient(eager, images), rtol=1e-4, atol=1e-5)


def test_gradients_by_tensorflows_graph_functions_still_find_theirs():
    import tensorflow as tf

    layer = GroupNorm(activation="silu")
    layer.build(IMAGES.shape)

    @tf.function
    def gradient(images):
        return tf.gradients(tf.reduce_sum(layer(images) ** 2), images)[0]

    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(layer(images) ** 2)

    np.testing.assert_allclose(gradient(images), tape.gradient(loss, images), rtol=1e-4, atol=1e-5)
