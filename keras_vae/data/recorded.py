"""Comparing the data found now with the data that a run recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.data.class_names import are_numbers, recorded_names, some
from keras_vae.data.dataset import ArraySplit, ImageDataset, IndexedSplit, Int32Array, Split, StreamSplit
from keras_vae.errors import InputError


def numbered_as_recorded(dataset: ImageDataset, recorded: Mapping[str, Any]) -> ImageDataset:
    """The data set with its classes numbered as in the run, or unchanged if the numbers of the run are not known.

    Earlier runs did not record names. They numbered folders in the order of characters: 1, 10, 11, 2.

    Args:
        dataset: the data set found now.
        recorded: the `ImageDataset.describe` that the run recorded.

    Raises:
        InputError: when a class has a name that the run did not know, or its number cannot be determined.
    """
    found, names = dataset.class_names, recorded_names(recorded)
    if found is None:
        return dataset
    if names is None and recorded.get("source") == dataset.source == "folder":
        names = _names_before(dataset, found, recorded)
    if names is None or names == found:
        return dataset
    if not set(found) <= set(names):
        if are_numbers(found) or are_numbers(names):
            return dataset
        raise InputError(
            f"{dataset.name}: has the classes {some(found)}, and the model was trained on {some(names)}; "
            "name the folders of its classes as those"
        )
    numbers = np.array([names.index(name) for name in found], np.int32)
    return dataclasses.replace(
        dataset,
        train=_renumbered(dataset.train, numbers),
        test=_renumbered(dataset.test, numbers),
        grey_train=None if dataset.grey_train is None else _renumbered(dataset.grey_train, numbers),
        class_names=names,
    )


def _names_before(dataset: ImageDataset, found: tuple[str, ...], recorded: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names in the order of a run that did not record them."""
    in_order = tuple(sorted(found))
    if recorded.get("num_classes") == len(found):
        return in_order
    if in_order == found:
        return None
    raise InputError(
        f"{dataset.name}: has {len(found)} classes where the run had {recorded.get('num_classes')} and did not record "
        "their names, so that their numbers are not known; bring the class folders back"
    )


def difference(described: Mapping[str, Any], recorded: Any) -> str | None:
    """The first difference between two `ImageDataset.describe`s in words, or None if the data are the same.

    Class names are compared only if both have them, because earlier runs did not record them.
    """
    if not isinstance(recorded, Mapping):
        return "the run recorded nothing of its data"
    for key, value in described.items():
        if key not in recorded and key == "class_names":
            continue
        if value != recorded.get(key):
            return f"{key} is {_shown(value)}, and was {_shown(recorded.get(key))}"
    return None


def _renumbered(split: Split, numbers: Int32Array) -> Split:
    """The same images with other labels. Negative labels, which stand for withheld ones, stay."""
    if not isinstance(split, StreamSplit):
        return dataclasses.replace(split, labels=_labels(split, numbers))
    if not split.has_labels:
        return split

    def decode(records: tf.Tensor) -> Any:
        images, labels = split.decode(records)
        return images, tf.where(labels < 0, labels, tf.gather(numbers, tf.maximum(labels, 0)))

    return dataclasses.replace(split, decode=decode)


def _labels(split: ArraySplit | IndexedSplit, numbers: Int32Array) -> Int32Array | None:
    if split.labels is None:
        return None
    return np.where(split.labels < 0, split.labels, numbers[np.maximum(split.labels, 0)])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {str(inner)[:12]}" for key, inner in value.items())
    if isinstance(value, list):
        return some(list(map(str, value)))
    return f"{value!s:.60}"
