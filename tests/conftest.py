"""Fixtures and options that several folders of tests share."""

import ctypes
import gc
import os
import sys
from pathlib import Path

import hypothesis
import pytest

# `pytest tests/fuzz --hypothesis-profile fuzz` runs for minutes, with new inputs each time.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=10_000)

# Set before JAX is imported: its tests compile many small programs that run once or twice.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if os.environ.get("KERAS_BACKEND") == "jax":
    # XLA's older code generator compiles such a program in two thirds of the time.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")


# Tests that share a slow run or export: whole folders, and single files where only part of a folder shares.
SHARING = {"callbacks", "examples", "export"}
SHARING_ITS_RUN = {
    "test_cli_commands.py",
    "test_cli_export.py",
    "test_cli_fit_prior.py",
    "test_cli_fine_tuning.py",
    "test_cli_score.py",
}
# Each test starts slow processes of its own, and shares nothing with the others.
APART = {"test_benchmarks_run.py"}


def pytest_configure(config):
    """Before TensorFlow is imported, here or in pytest-xdist's processes."""
    if config.option.markexpr == "not slow and not distributed":
        # oneDNN's kernels take longer to make than the few small tensors of a test take to compute; slow tests have
        # them. A sixth of the time.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=5, help="number of times the kill test kills a process  [5]")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Tests that go to any process come last: they fill what is left when one process is through with its files."""
    items.sort(key=lambda item: item.path.name in APART)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests that share a fixture go to one pytest-xdist process, long tests to any, and the rest file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFixture(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = Path(nodeid.partition("::")[0])
            if path.name in APART:
                return nodeid
            return path.parent.name if path.parent.name in SHARING or path.name in SHARING_ITS_RUN else str(path)

    return ByFixture(config, log)


def pytest_collection_finish():
    """Settings for the whole process, made once the tests are imported and with them, if they need it, TensorFlow."""
    if tensorflow := sys.modules.get("tensorflow"):
        # As the commands do on CPU: rewriting a graph takes longer than running it a few times.
        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    # What was imported stays, so the collector need not look at it again each time.
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _disk_is_not_waited_for():
    """A checkpoint waits until the disk has it, up to a minute beside other writing; no test here cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _free_memory_is_given_back():
    """Free what a module leaves, such as graphs, and give it to the system: glibc keeps it for blocks like those."""
    yield
    _forget_gradients_of_saved_models()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _forget_gradients_of_saved_models():
    """TensorFlow keeps them for each SavedModel that its LiteRT converter loads, and with them 40 MB of graphs."""
    graph_memory = sys.modules.get("keras_vae.layers.graph_memory")
    if graph_memory is None or "tensorflow" not in sys.modules:
        return
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for name in [name for name in registry if name.startswith("CustomGradient-")]:
        if graph_memory.is_from_saved_model(registry[name]["type"]):
            del registry[name]


def _gradients(loss, variables):
    """NumPy gradients of ``loss()`` with respect to ``variables``; zeros for those that it does not depend on."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss()
        found = tape.gradient(value, [variable.value for variable in variables], unconnected_gradients="zero")
    elif keras.backend.backend() == "torch":
        import torch

        values = [variable.value for variable in variables]
        found = torch.autograd.grad(loss(), values, allow_unused=True, materialize_grads=True)
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
