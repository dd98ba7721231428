"""A loaded SavedModel and its gradients, while it lives and afterwards."""

import gc

import numpy as np
import pytest
import tensorflow as tf
from exported_models import make_latents
from tensorflow.python.framework import ops

from keras_vae.export.saved_model import load_saved_model
from keras_vae.layers import GroupNorm

pytestmark = pytest.mark.slow


def test_its_gradients_leave_the_registry_with_it(saved_model):
    gc.collect()
    before = set(ops.gradient_registry._registry)
    model = load_saved_model(saved_model)
    # Without them there would be nothing to free.
    assert set(ops.gradient_registry._registry) > before

    del model
    gc.collect()

    assert set(ops.gradient_registry._registry) <= before


def test_it_can_be_differentiated_after_other_graphs_were_traced_and_freed(saved_model, exported_vae):
    model = load_saved_model(saved_model)
    tf.function(GroupNorm(2))(tf.zeros((1, 4, 4, 4)))
    gc.collect()
    z = tf.constant(make_latents(2))

    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        loaded = tf.reduce_sum(model.signatures["decode"](z=z)["image"] ** 2)
        expected = tf.reduce_sum(exported_vae.decode(z) ** 2)

    # Sums in another order, float32.
    np.testing.assert_allclose(tape.gradient(loaded, z), tape.gradient(expected, z), rtol=1e-4, atol=1e-4)
