"""Every training test starts from the same seed and restores the dtype policy."""

import keras
import pytest
import tensorflow as tf


@pytest.fixture(autouse=True)
def _fixed_seed_and_policy():
    policy = keras.mixed_precision.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_global_policy(policy)


@pytest.fixture
def step_by_step():
    """Run traced functions as Python for every batch, where tracing would take longer or tests look into them."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
