"""Writing a data set as sharded, gzipped TFRecord files of tf.Example. The same images give the same bytes.

The folder holds ``train/train-00000-of-00006.tfrecord.gz`` …, ``test/…`` and ``dataset.json``, which describes them.
TFX's ImportExampleGen reads such a folder with the splits ``train/*`` and ``test/*``.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.data.dataset import ImageDataset, Int32Array, Split, StreamSplit, UInt8Array
from keras_vae.data.fingerprint import Fingerprint
from keras_vae.data.tfds_prepare import one_line
from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside, write_text

IMAGE_KEY, LABEL_KEY = "image/encoded", "label"
DESCRIPTION = "dataset.json"
FORMAT = "keras-vae tfrecord 1"
"""Marks the description of a folder that we wrote."""

_SPLITS = ("train", "test")
_BATCH_BYTES = 16 << 20


def write_tfrecords(
    dataset: ImageDataset,
    folder: Path,
    *,
    shard_size: int = 10_000,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda images: None,
) -> dict[str, Any]:
    """Write both splits, with images in their order: ``image/encoded`` is a PNG, ``label`` (if there is one) an int64.

    The folder appears completely or not at all. A streamed split is written while it is read.

    Args:
        dataset: the data set.
        folder: the folder to make.
        shard_size: largest number of images in a file. Images are spread evenly over the files.
        overwrite: replace a data set that was written there before.
        progress: called repeatedly with the number of further images that are done.

    Returns:
        The content of ``dataset.json``: `ImageDataset.describe`, with the `Fingerprint` of streamed splits too, and the
        ``shards`` of each split: ``file``, ``images``, ``sha256``.

    Raises:
        InputError: when the shard size is below 1, the folder exists (and ``overwrite`` is not set, or it holds
            something else) or cannot be written, or the data set cannot be read.
    """
    if shard_size < 1:
        raise InputError(f"shard-size must be at least 1, got {shard_size}")
    description = {"format": FORMAT, **dataset.describe()}
    with _replaced_whole(folder, overwrite=overwrite) as beside:
        written = {
            name: _write_split(split, name, beside / name, shard_size, progress)
            for name, split in zip(_SPLITS, (dataset.train, dataset.test), strict=True)
        }
        description["sha256"] = {name: pixels for name, (pixels, _) in written.items()}
        description["shards"] = {name: shards for name, (_, shards) in written.items()}
        write_text(beside / DESCRIPTION, json.dumps(description, indent=2) + "\n")
    return description


def check_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Check, without changing anything, that a data set can be written there.

    Raises:
        InputError: as `write_tfrecords`.
    """
    target = folder.resolve()
    try:
        found = [entry.name for entry in target.iterdir()] if target.is_dir() else None
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    if found is None and os.path.lexists(target):
        raise InputError(f"{folder}: exists and is not a folder; choose another")
    if found:
        # Other files beside the shards must not be lost.
        if not set(found) <= {*_SPLITS, DESCRIPTION} or read_description(str(target / DESCRIPTION)) is None:
            raise InputError(f"{folder}: exists and holds something other than a data set of ours; choose another")
        if not overwrite:
            raise InputError(f"{folder}: holds a data set already; replace it with --overwrite, or choose another")
    nearest = next(parent for parent in target.parents if os.path.lexists(parent))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: {nearest} is not a writable directory; choose another")


def read_description(path: str) -> dict[str, Any] | None:
    """The content of a ``dataset.json``, or None if we did not write one there."""
    try:
        with tf.io.gfile.GFile(path) as file:
            values = json.load(file)
    except (tf.errors.OpError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and values.get("format") == FORMAT else None


def _write_split(
    split: Split, name: str, folder: Path, shard_size: int, progress: Callable[[int], None]
) -> tuple[str, list[dict[str, Any]]]:
    """Write the shards of a split. Returns the `Fingerprint` of its pixels and the record of each shard."""
    folder.mkdir()
    fingerprint = Fingerprint()
    examples = _examples(split, fingerprint, progress)
    count = -(-split.count // shard_size)
    shards = []
    for index in range(count):
        images = (index + 1) * split.count // count - index * split.count // count
        path = folder / f"{name}-{index:05}-of-{count:05}.tfrecord.gz"
        # TensorFlow writes no time into the gzip header.
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for example in itertools.islice(examples, images):
                writer.write(example)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shards.append({"file": f"{name}/{path.name}", "images": images, "sha256": digest})
    collections.deque(examples, maxlen=0)  # consume the rest, where the count is checked
    return fingerprint.hexdigest(), shards


def tf_example(encoded: bytes, label: int | None = None) -> bytes:
    """A serialised tf.Example with an image's PNG or JPEG bytes and its label, if there is one. It is deterministic."""
    feature = {IMAGE_KEY: tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}
    if label is not None:
        feature[LABEL_KEY] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    serialised: bytes = example.SerializeToString(deterministic=True)
    return serialised


def _examples(split: Split, fingerprint: Fingerprint, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Every image as a serialised tf.Example. Its pixels are added to ``fingerprint``."""
    for images, labels in _batches(split):
        fingerprint.add(images)
        for index, png in enumerate(tf.io.encode_png(images).numpy()):
            # TFDS writes -1 if the labels of a split are withheld.
            yield tf_example(png, None if labels is None or labels[index] < 0 else labels[index])
        progress(len(images))


def _batches(split: Split) -> Iterator[tuple[UInt8Array, Int32Array | None]]:
    """The split in order, in batches of a few megabytes."""
    size = max(1, _BATCH_BYTES // math.prod(split.image_shape))
    if not isinstance(split, StreamSplit):
        for start in range(0, split.count, size):
            numbers = np.arange(start, min(start + size, split.count))
            yield split.read(numbers), None if split.labels is None else split.labels[numbers]
        return
    done = 0
    batches = split.records().batch(size).map(split.decode).prefetch(1).as_numpy_iterator()
    while True:
        try:
            batch = next(batches, None)
        except tf.errors.OpError as error:
            raise InputError(f"{split.shards[0].file}: cannot be read ({one_line(error)}); prepare it again") from error
        if batch is None:
            break
        images, labels = batch if split.has_labels else (batch, None)
        done += len(images)
        yield images, labels
    if done != split.count:
        raise InputError(
            f"{split.shards[0].file}: holds {done} images of the {split.count} announced; prepare it again"
        )


@contextmanager
def _replaced_whole(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder beside ``folder``, which replaces it when the block succeeds and is removed when it fails.

    Raises:
        InputError: as `check_folder`, or when the folder cannot be written.
    """
    check_folder(folder, overwrite=overwrite)
    try:
        with folder_written_beside(folder) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    except tf.errors.OpError as error:  # TensorFlow's own writer
        raise InputError(f"{folder}: cannot be written ({one_line(error)})") from error
