"""What the tests of the latents share: quantisers of every kind, and features for them."""

import keras
import numpy as np
import pytest

from keras_vae.latents import FiniteScalarQuantizer, VectorQuantizer

QUANTISERS = {
    "vq": lambda: VectorQuantizer(16, seed=1),
    "vq in groups": lambda: VectorQuantizer(16, 3, seed=1),
    "vq by cosine": lambda: VectorQuantizer(16, 3, cosine=True, seed=1),
    "vq by gradient": lambda: VectorQuantizer(16, decay=0, seed=1),
    "fsq": lambda: FiniteScalarQuantizer((5, 4, 3)),
}


def features_like(shape, count=5, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(scale=scale, size=(count, *shape)).astype("float32")


@pytest.fixture(params=QUANTISERS.values(), ids=QUANTISERS.keys())
def quantiser(request):
    """A quantiser of each kind, built for a spatial latent (2, 3, 6)."""
    made = request.param()
    made.build((None, 2, 3, 6))
    return made


@pytest.fixture
def make_features():
    """``make_features(shape, count=5, seed=0, scale=1.0)``: normally distributed features (count, *shape)."""
    return features_like


@pytest.fixture
def values():
    """``values(structure)``: the NumPy arrays of a structure of tensors."""

    def to_numpy(structure):
        return keras.tree.map_structure(keras.ops.convert_to_numpy, structure)

    return to_numpy
