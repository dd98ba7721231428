"""Loading a SavedModel so that it can be freed."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops  # TensorFlow has no public way to the registry of gradients

from keras_vae.layers.graph_memory import is_from_saved_model


def load_saved_model(folder: Path) -> Any:
    """`tf.saved_model.load`, whose gradients leave TensorFlow's registry when the model is freed.

    TensorFlow enters the custom gradients of a SavedModel in a registry of the process with every load and never takes
    them out, so that every model that was ever loaded would stay in memory.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    model = tf.saved_model.load(str(folder))
    for name in registry.keys() - before:
        if is_from_saved_model(registry[name]["type"]):
            weakref.finalize(model, registry.pop, name, None).atexit = False
    return model
