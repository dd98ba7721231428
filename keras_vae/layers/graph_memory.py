"""Custom gradients on TensorFlow, freed together with the graphs that they belong to.

While a graph is traced, `tf.custom_gradient` enters each gradient function in a registry of the process and never takes
it out again. The function holds tensors of its graph, so every graph that was ever traced would stay in memory. Here
the graph holds its gradient functions, and the registry refers to them weakly.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras

_GRADIENTS = "_keras_vae_gradients"


def free_gradients_with_their_graphs() -> None:
    """Let go of the custom gradients that were registered since the last call; nothing on other backends."""
    if keras.backend.backend() != "tensorflow":
        return
    # Deferred: layers run on every backend. TensorFlow has no public way to the registry.
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    for name in reversed(list(registry)):
        if not name.startswith("CustomGradient-"):
            continue
        gradient = registry[name]["type"]
        if getattr(gradient, "is_weak", False):
            return  # and so are all before it
        graph = None if is_from_saved_model(gradient) else _graph_of(gradient)
        if graph is None:
            continue
        # An attribute, since the graph's collections are written into SavedModels.
        setattr(graph, _GRADIENTS, [*getattr(graph, _GRADIENTS, ()), gradient])
        registry[name]["type"] = _weakly(gradient)
        weakref.finalize(graph, registry.pop, name, None).atexit = False


def is_from_saved_model(gradient: Callable[..., Any]) -> bool:
    """Whether it came with a SavedModel: it belongs to that model, not to the graph that it calls."""
    return gradient.__module__.endswith("saved_model.function_deserialization")


def _weakly(gradient: Callable[..., Any]) -> Callable[..., Any]:
    reference = weakref.ref(gradient)

    def weak_gradient(operation: Any, *upstream: Any) -> Any:
        function = reference()
        # The operation that asks for it is part of the graph that holds it.
        assert function is not None
        return function(operation, *upstream)

    weak_gradient.is_weak = True  # type: ignore[attr-defined]
    return weak_gradient


def _graph_of(function: Callable[..., Any]) -> Any:
    """The graph of the first tensor in the closure of a gradient function, or of the functions that it calls."""
    for cell in function.__closure__ or ():
        value = cell.cell_contents
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        graph = getattr(first, "graph", None)
        if graph is None and hasattr(value, "__closure__"):
            graph = _graph_of(value)
        if graph is not None:
            return graph
    return None
