"""Augmentation of training images by Keras's preprocessing layers, named in a run's settings."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from keras_vae.data.binarize import draw
from keras_vae.errors import InputError, nearest

# Maps images float32 (B, H, W, C) in [0, 1] and the number of their batch, int64 (), to images of the same kind.
Augment: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_MODULES = {"keras.layers": "keras", "keras_cv.layers": "keras-cv (pip install 'keras-vae[cv]')"}
# Default for required arguments that were not given; the names of all of them contain "factor".
_FACTOR = 0.1
# More than the random numbers that a layer draws for one batch.
_DRAWS = 1 << 16


def build_augmentation(
    layers: Sequence[str], image_shape: tuple[int, int, int], seed: int, *, binarize: bool = False
) -> Augment | None:
    """A function that applies the layers one after another and binarises; None if there is nothing to do.

    Args:
        layers: names of layers in `keras.layers`, or in ``keras_cv.layers`` with the module as a prefix, each with
            optional literal arguments: ``RandomRotation(0.05, fill_mode='constant')``. Required factors default to
            0.1, ``value_range`` to (0, 1).
        image_shape: (H, W, C). The layers must keep it.
        seed: seeds Keras's layers, together with the number of the batch, so that a resumed run draws the same as an
            unbroken one. KerasCV's layers draw from TensorFlow's generators, which a resumed run starts anew.
        binarize: draw every pixel black or white at the end, with its value as the probability of white.

    Raises:
        InputError: when a layer does not exist, refuses its arguments, or changes the shape of the images.
    """
    if not layers and not binarize:
        return None
    made = [_make_layer(layer) for layer in layers]
    for layer, text in zip(made, layers, strict=True):
        _try_out(layer, text, image_shape)
    states = [variable for layer in made for variable in layer.variables if variable.name == "seed_generator_state"]

    def augment(images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        for index, state in enumerate(states):
            state.assign(tf.stack([tf.constant(seed + index, tf.int64), number * _DRAWS]))
        for layer in made:
            images = layer(images, training=True)
        # Interpolation and contrast may leave [0, 1].
        images = tf.clip_by_value(tf.ensure_shape(images, (None, *image_shape)), 0.0, 1.0)
        return draw(images, tf.stack([tf.constant(seed, tf.int64), number])) if binarize else images

    return augment


def _make_layer(text: str) -> keras.layers.Layer:
    path, positional, named = _parse(text)
    module, _, name = path.rpartition(".")
    module = module or "keras.layers"
    if module not in _MODULES:
        raise InputError(f"augment: {text} is in {module}; layers are taken from {' or '.join(_MODULES)}")
    try:
        kind = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise InputError(f"augment: {text} needs {_MODULES[module]} ({error})") from error
    if not (inspect.isclass(kind) and issubclass(kind, keras.layers.Layer)):
        near = nearest(name, (each for each in dir(importlib.import_module(module)) if each[:1].isupper()))
        hint = f"; did you mean {near}?" if near else ""
        raise InputError(f"augment: {module} has no layer {name!r}{hint}")
    parameters = inspect.signature(kind).parameters
    if "value_range" in parameters:
        named.setdefault("value_range", (0, 1))
    for parameter in list(parameters.values())[len(positional) :]:
        if parameter.default is parameter.empty and "factor" in parameter.name:
            named.setdefault(parameter.name, _FACTOR)
    try:
        return kind(*positional, **named)
    except Exception as error:  # a layer may refuse its arguments in any way
        raise InputError(f"augment: {text} cannot be made ({_one_line(error)})") from error


def _parse(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """The dotted name and the literal arguments. Nothing is evaluated."""
    try:
        node = ast.parse(text, mode="eval").body
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        path = ast.unparse(call.func)
        if not all(part.isidentifier() for part in path.split(".")):
            raise ValueError(f"{path} is not a name")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(
            f"augment: {text!r:.100} is not a layer such as RandomRotation or RandomRotation(0.05) ({_one_line(error)})"
        ) from error
    return path, positional, named


def _try_out(layer: keras.layers.Layer, text: str, image_shape: tuple[int, int, int]) -> None:
    try:
        shape = layer(tf.zeros((2, *image_shape)), training=True).shape
    except Exception as error:  # as above
        raise InputError(f"augment: {text} cannot take images {image_shape} ({_one_line(error)})") from error
    if tuple(shape) != (2, *image_shape):
        raise InputError(f"augment: {text} turns images {image_shape} into {tuple(shape[1:])}; the shape must stay")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
