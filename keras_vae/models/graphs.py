"""Methods of a model as graphs, which need less memory than their layers one by one."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from keras_vae.models.vae import VAE

# Model → method → the shape of an input and the graph for it.
_GRAPHS: weakref.WeakKeyDictionary[VAE, dict[str, tuple[Any, Any]]] = weakref.WeakKeyDictionary()


def as_graph(vae: VAE, name: str) -> Callable[[Any, Any], Any]:
    """The method ``encode`` or ``decode``, called with images or latents and labels, as one graph on TensorFlow.

    A graph frees a map when no layer needs it any more. Layers called one by one hold theirs until the last returns, so
    that a large image needs 1.7 times the memory. The graph is kept until an input has another shape, since a model's
    next image may have tiles of the same size.
    """
    if keras.backend.backend() != "tensorflow":
        method: Callable[[Any, Any], Any] = getattr(vae, name)
        return method
    import tensorflow as tf  # deferred: models run on every backend

    kept = _GRAPHS.setdefault(vae, {})
    # Weak, since what the table holds must not keep the model.
    model = weakref.ref(vae)

    def run(inputs: Any, labels: Any) -> Any:
        shape, graph = kept.get(name, (None, None))
        if shape != inputs.shape:
            graph = tf.function(lambda inputs, labels: getattr(model(), name)(inputs, labels), autograph=False)
            kept[name] = inputs.shape, graph
        return graph(inputs, labels)

    return run
