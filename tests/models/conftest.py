"""What the tests of the models share: small models, images, and gradients on either backend."""

import keras
import numpy as np
import pytest

from keras_vae.models import VAE

# 12×12 images: a stem of stride 2, then levels of 6×6 and 3×3, both of which attend.
SMALL = {"image_shape": (12, 12, 1), "latent_dim": 2, "widths": (8, 16), "groups": 4, "context_tokens": 2}


def _gradients(loss, variables):
    """NumPy gradients of ``loss()`` by ``variables``; zeros where it does not depend on one."""
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


@pytest.fixture
def small():
    """The arguments of a small model."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def images():
    """Three images for the small model."""
    return np.random.default_rng(0).random((3, *SMALL["image_shape"])).astype("float32")


@pytest.fixture(scope="module")
def vae():
    """A small model that no test changes."""
    keras.utils.set_random_seed(0)
    return VAE(**SMALL, seed=0)


@pytest.fixture(scope="module")
def conditional_vae():
    """A small model of three classes that no test changes."""
    keras.utils.set_random_seed(0)
    return VAE(**SMALL, num_classes=3, seed=0)
