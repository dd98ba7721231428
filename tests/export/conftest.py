"""Models that are exported once for all tests of exports."""

import pytest
import tensorflow as tf
from exported_models import CLASSES, make_images, make_vae

from keras_vae.export.saved_model import load_saved_model
from keras_vae.export.signatures import write_saved_model
from keras_vae.export.warmup import write_warmup_requests


@pytest.fixture(scope="session")
def exported_vae():
    """The model of `saved_model`; tests do not change it."""
    return make_vae()


@pytest.fixture(scope="session")
def conditional_vae():
    """The model of `conditional_signatures`; tests do not change it."""
    return make_vae(num_classes=CLASSES)


@pytest.fixture(scope="session")
def saved_model(exported_vae, tmp_path_factory):
    """Folder of a SavedModel with its warm-up requests; tests do not change it."""
    folder = tmp_path_factory.mktemp("saved_model")
    write_saved_model(exported_vae, folder)
    write_warmup_requests(folder, exported_vae, model_name="digits", version=7, images=make_images(3))
    return folder


@pytest.fixture(scope="session")
def signatures(saved_model):
    """The signatures of `saved_model`, loaded."""
    return _signatures(saved_model)


@pytest.fixture(scope="session")
def conditional_signatures(conditional_vae, tmp_path_factory):
    """The signatures of a conditional model's SavedModel, loaded."""
    folder = tmp_path_factory.mktemp("conditional_saved_model")
    write_saved_model(conditional_vae, folder)
    return _signatures(folder)


def _signatures(folder):
    loaded = load_saved_model(folder)
    # A signature lives as long as what was loaded.
    return {name: Signature(loaded, name) for name in loaded.signatures}


class Signature:
    """A loaded signature: called with names, as a server calls it."""

    def __init__(self, loaded, name):
        self.loaded = loaded
        self.function = loaded.signatures[name]
        self.inputs = self.function.structured_input_signature[1]
        self.outputs = self.function.structured_outputs

    def __call__(self, **inputs):
        return self.function(**{name: tf.constant(value, self.inputs[name].dtype) for name, value in inputs.items()})
