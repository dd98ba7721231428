"""A small model, and images of one kind."""

import keras
import numpy as np
import pytest

from keras_vae import VAE


@pytest.fixture(scope="session")
def vae():
    """An untrained model for images of 16×16, whose weights are always the same."""
    keras.utils.set_random_seed(0)
    return VAE((16, 16, 1), 3, widths=(8, 8), groups=4, attention_resolution=0, generative_skips=False, seed=0)


@pytest.fixture(scope="session")
def squares():
    """``squares(count, seed)``: a grey square on black with noise, float32 (count, 16, 16, 1) in [0, 1]."""

    def draw(count, seed):
        rng = np.random.default_rng(seed)
        images = rng.uniform(0, 0.1, (count, 16, 16, 1))
        images[:, 4:12, 4:12] += rng.uniform(0.4, 0.8, (count, 1, 1, 1))
        return images.astype("float32")

    return draw
