"""A tiny exported model, and the examples as modules."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_vae.export.signatures import write_saved_model
from keras_vae.models import VAE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SHAPE, LATENT = (12, 12, 1), 3


@pytest.fixture(scope="session")
def example():
    """``example("serving_rest")``: that file as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def vae():
    """A model with no attention: what is exported has its own tests."""
    return VAE(SHAPE, LATENT, (8,), groups=4, attention_resolution=0, generative_skips=False, seed=0)


@pytest.fixture(scope="session")
def images():
    """Float32 (N, H, W, C) in [0, 1], whole bytes, so that a PNG holds them without loss."""
    return np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.float32) / 255


@pytest.fixture(scope="session")
def image_file(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "digit.png"
    Image.fromarray((images[0, ..., 0] * 255).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def saved_model(vae, tmp_path_factory):
    """``saved_models/noise/1``."""
    folder = tmp_path_factory.mktemp("saved_models") / "noise" / "1"
    folder.parent.mkdir()
    write_saved_model(vae, folder)
    return folder
