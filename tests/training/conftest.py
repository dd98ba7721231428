"""Every training test starts from the same seed and restores the dtype policy."""

import keras
import pytest


@pytest.fixture(autouse=True)
def _fixed_seed_and_policy():
    policy = keras.mixed_precision.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.mixed_precision.set_global_policy(policy)
