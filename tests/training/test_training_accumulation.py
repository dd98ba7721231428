"""Passes over a batch: the rows that each one gets, and how their results are combined."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.training.accumulation import mean_of_passes, pass_of


@pytest.mark.parametrize("shape", [(12, 3), (None, 3)])
def test_passes_deal_out_the_rows_in_turn(shape):
    rows = np.arange(36, dtype="float32").reshape(12, 3)

    @tf.function(input_signature=[tf.TensorSpec(shape), tf.TensorSpec((), tf.int32)])
    def of(values, number):
        return pass_of({"images": values, "labels": None}, number, 4)["images"]

    for number in range(4):
        np.testing.assert_array_equal(of(rows, number), rows[number::4])


def test_what_is_not_there_stays_away():
    assert pass_of((tf.zeros((4, 1)), None), tf.constant(0), 2)[1] is None


def test_the_mean_is_over_all_passes():
    zeros = ([tf.zeros(2)], {"loss": tf.zeros(())})

    gradients, parts = mean_of_passes(
        lambda number: ([tf.cast([number, 2 * number], tf.float32)], {"loss": tf.cast(number**2, tf.float32)}), 5, zeros
    )

    np.testing.assert_allclose(gradients[0], [2, 4])
    assert float(parts["loss"]) == 6
