"""What tests of several rooms share."""

import os

import pytest

# Before JAX is imported: its tests compile many small programs, each run once or twice.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")


# Folders whose tests share a run or an export that takes long to make.
SHARING = {"callbacks", "end_to_end", "examples", "export"}


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items):
    """What shares a fixture stays in one of the processes that pytest-xdist spreads the tests over."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder in SHARING else item.path.name))


def _gradients(loss, variables):
    """NumPy gradients of ``loss()`` by ``variables``; zeros where it does not depend on one."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        found = tape.gradient(value, [variable.value for variable in variables], unconnected_gradients="zero")
    else:
        import jax

        def stateless_loss(values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return loss()

        found = jax.grad(stateless_loss)([variable.value for variable in variables])
    return [keras.ops.convert_to_numpy(gradient) for gradient in found]


@pytest.fixture(scope="session")
def gradients():
    """``gradients(loss, variables)``."""
    return _gradients
