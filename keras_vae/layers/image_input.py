"""Checks of images that models, losses and metrics take: (N, H, W, C), floats in [0, 1] or uint8.

The checks use shapes and dtypes, which are known when a step is traced, so they cost nothing in a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError

_AXES = ("N", "H", "W", "C")


def unit_range(images: Any) -> Any:
    """Images as floats in [0, 1]: uint8 over 255 in float32, floats as they are."""
    return ops.cast(images, "float32") / 255.0 if dtype_of(images) == "uint8" else images


def check_images(owner: str, images: Any, shape: Sequence[int | None] = (None, None, None)) -> None:
    """Refuse anything but images.

    Args:
        owner: the name that begins the message.
        images: an array or a tensor.
        shape: the expected (H, W, C); None allows any size.

    Raises:
        InputError: when the shape or dtype is wrong; the message names the expected and the given one.
    """
    expected = (None, *shape)
    check_is_array(owner, "images", images, described(expected))
    check_shape(owner, "images", images, expected)
    dtype = dtype_of(images)
    if dtype != "uint8" and "float" not in dtype:
        raise InputError(f"{owner}: images must be floats in [0, 1] or uint8, got {dtype}")


def image_pair(owner: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Two batches of images to compare, checked and in `unit_range`.

    Raises:
        InputError: as `check_images`, and when the shapes differ.
    """
    for images in (y_true, y_pred):
        check_images(owner, images)
    shape, other = tuple(y_true.shape), tuple(y_pred.shape)
    if not fits(shape, other):
        raise InputError(
            f"{owner}: images to compare must have the same shape, got {described(shape)} and {described(other)}"
        )
    return unit_range(y_true), unit_range(y_pred)


def check_is_array(owner: str, name: str, value: Any, expected: str) -> None:
    """Raise InputError unless ``value`` has a shape and a dtype."""
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        raise InputError(f"{owner}: {name} must be an array of shape {expected}, got {type(value).__name__}")


def check_shape(owner: str, name: str, value: Any, *expected: Sequence[int | None]) -> None:
    """Raise InputError unless the value has one of the expected shapes."""
    given = shape_of(value)
    if given is None or not any(fits(given, shape) for shape in expected):
        wanted, found = " or ".join(map(described, expected)), "an unknown one" if given is None else described(given)
        raise InputError(f"{owner}: {name} must have shape {wanted}, got {found}")


def shape_of(values: Any) -> tuple[int | None, ...] | None:
    """The shape, or None if even the rank is unknown (TensorFlow, while it traces)."""
    try:
        return tuple(values.shape)
    except ValueError:
        return None


def fits(given: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Whether two shapes match; None matches any size."""
    pairs = zip(given, expected, strict=False)
    return len(given) == len(expected) and all(None in pair or pair[0] == pair[1] for pair in pairs)


def described(shape: Sequence[int | None]) -> str:
    """A shape as text; unknown sizes are letters, such as N, H, W and C of images."""
    letters = _AXES if len(shape) == len(_AXES) else ("N", *"?" * len(shape))
    sizes = [letter if size is None else str(size) for letter, size in zip(letters, shape, strict=False)]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def dtype_of(values: Any) -> str:
    """The name of the dtype of an array or a tensor of any backend."""
    return keras.backend.standardize_dtype(values.dtype)
