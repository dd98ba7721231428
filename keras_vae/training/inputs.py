"""What a step takes: images and labels, their dtypes and shapes, and the range of the first batch.

Dtypes and shapes are known before a step is traced. Only the first batch of a data set has its values checked, so that
steps cost nothing more.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_vae.layers.image_input import check_images, unit_range
from keras_vae.models import VAE

# Rounding and resizing may leave [0, 1] by so much.
TOLERANCE = 1e-3

_OWNER = "VAETrainer"
# The message, in what TensorFlow says when an assertion fails in a graph, "[…]", or eagerly, "b'…'".
_IN_ERROR = re.compile(rf"{_OWNER}: [^\]'\n]*")


def unpack(data: Any, vae: VAE) -> tuple[Any, Any, Any]:
    """Images (N, H, W, C), the labels (N,) of a conditional model or None, and whether the images count, or None.

    The last, bool (N,), comes from `keras_vae.data.evaluation_batches` for several replicas: all True, or all False in
    a copy of a batch that does not count.

    Args:
        data: what a data set yields, or its specs: images, (images,), (images, labels), or those and whether they
            count.
        vae: the model that is to take them.

    Raises:
        ValueError: when anything in it has the wrong kind, dtype or shape; one line.
    """
    images, labels, is_counted = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(images, dict):
        names = ", ".join(map(str, images))
        raise ValueError(
            f"{_OWNER}: a data set must yield images or (images, labels), got a dict of {names}; with TensorFlow "
            "Datasets give as_supervised=True"
        )
    # The grid of a spatial latent goes with the size of the images.
    check_images(_OWNER, images, (None, None, vae.image_shape[2]) if vae.encoder.is_spatial else vae.image_shape)
    if is_counted is not None and is_counted.dtype != tf.bool:
        raise ValueError(f"{_OWNER}: sample weights are not supported; leave out the third item of (images, labels, …)")
    if vae.num_classes is None:
        return images, None, is_counted
    if labels is None:
        raise ValueError(f"{_OWNER}: a conditional model needs labels: the data set must yield (images, labels)")
    return images, vae.encoder.checked_labels(labels, images.shape[0]), is_counted


def as_floats(images: Any) -> Any:
    """The same images as float32 in [0, 1], also of float64 and of uint8."""
    return tf.cast(unit_range(images), tf.float32)


def check_values(data: Any, vae: VAE) -> None:
    """Check a batch of concrete values as `with_first_batch_checked` does.

    Raises:
        ValueError: as `unpack`, or when a value is out of range; one line.
    """
    data = tf.nest.map_structure(tf.convert_to_tensor, tuple(part for part in data if part is not None))
    with one_line_errors():
        _assert_values(data, vae)


def with_first_batch_checked(dataset: tf.data.Dataset, vae: VAE) -> tf.data.Dataset:
    """The same data set. Iterating over it fails where its first batch has values that are out of range.

    That is an `InvalidArgumentError`, which `one_line_errors` puts into one line.

    Raises:
        ValueError: as `unpack`.
    """
    unpack(_without_empty(dataset.element_spec), vae)

    @tf.autograph.experimental.do_not_convert
    def step(is_checked: tf.Tensor, *element: Any) -> tuple[tf.Tensor, Any]:
        element = element[0] if len(element) == 1 else element
        tf.cond(is_checked, lambda: None, lambda: _assert_values(_without_empty(element), vae))
        return tf.constant(True), element

    return dataset.scan(tf.constant(False), step)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a failed check of values into a ValueError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = _IN_ERROR.search(error.message)
        if found is None:
            raise
        raise ValueError(found[0]) from None


def _assert_values(data: Any, vae: VAE) -> None:
    images, labels, _ = unpack(data, vae)
    if images.dtype != tf.uint8:
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        _check(
            (low >= -TOLERANCE) & (high <= 1 + TOLERANCE),
            "images must be between 0 and 1, the first batch goes from {} to {}; divide by 255, or give uint8",
            low,
            high,
        )
    if vae.num_classes is not None:
        low, high = tf.reduce_min(labels), tf.reduce_max(labels)
        last = vae.num_classes - 1
        _check(
            (low >= 0) & (high <= tf.cast(last, high.dtype)),
            f"labels must be 0 to {last}, the first batch goes from {{}} to {{}}",
            low,
            high,
        )


def _check(condition: Any, template: str, *values: Any) -> None:
    # An operation of its own, since tensors are formatted where the check fails alone.
    tf.debugging.Assert(condition, [tf.strings.format(f"{_OWNER}: {template}", values)], summarize=1)


def _without_empty(element: Any) -> Any:
    """Keras's data sets hold an empty optional in the place of None."""
    return tf.nest.map_structure(
        lambda part: None if isinstance(part, (tf.experimental.Optional, tf.OptionalSpec)) else part, element
    )
