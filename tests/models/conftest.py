"""What the tests of the models share: small models and images."""

import keras
import numpy as np
import pytest

from keras_vae.models import VAE

# 12×12 images: a stem of stride 2, then levels of 6×6 and 3×3, both of which attend.
SMALL = {"image_shape": (12, 12, 1), "latent_dim": 2, "widths": (8, 16), "groups": 4, "context_tokens": 2}


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
    """A small model; tests leave its weights as they are."""
    keras.utils.set_random_seed(0)
    return VAE(**SMALL, seed=0)


@pytest.fixture(scope="module")
def conditional_vae():
    """A small model of three classes; tests leave its weights as they are."""
    keras.utils.set_random_seed(0)
    return VAE(**SMALL, num_classes=3, seed=0)
