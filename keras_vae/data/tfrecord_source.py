"""Gzipped TFRecord files of tf.Example with PNG or JPEG images, as an ``ImageDataset``."""

from __future__ import annotations

import functools
import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.data.dataset import ArraySplit, ImageDataset, Int32Array, Shard, Split, StreamSplit, UInt8Array
from keras_vae.data.map_batch import map_batch
from keras_vae.data.tf_example import parse_examples
from keras_vae.data.tfrecord import DESCRIPTION, IMAGE_KEY, LABEL_KEY, read_description
from keras_vae.errors import InputError

_GZIP = "GZIP"
_BATCH_BYTES, _SHUFFLE_BYTES = 16 << 20, 256 << 20
REFUSALS = (tf.errors.OpError, UnicodeDecodeError)
"""Errors of an operation on a bad record. A message that quotes the record may not be valid text."""

# A label is the number of a class. Anything larger is some other key.
_MOST_CLASSES = 1 << 20


def load_tfrecords(
    train_files: Sequence[str | os.PathLike[str]],
    test_files: Sequence[str | os.PathLike[str]],
    *,
    memory_limit: int = 2 << 30,
) -> ImageDataset:
    """Read two splits of records with ``image/encoded`` (PNG or JPEG bytes) and, in all or none, ``label`` (one int64).

    Name, classes and counts come from the ``dataset.json`` of ``write_tfrecords``, or otherwise from reading the files.
    Files that will be streamed are checked first, by their recorded SHA-256 or by reading them.

    Args:
        train_files: paths or glob patterns that TensorFlow can read, as TFX gives them.
        test_files: the same for the test split.
        memory_limit: data with more bytes of pixels are streamed from disk.

    Raises:
        InputError: when a pattern matches nothing, or a file is damaged or holds other records; it names the file.
    """
    sides = [_find_files(train_files), _find_files(test_files)]
    recorded = _recorded(sides)
    splits, counts = [], []
    for files in sides:
        shape, has_labels = _inspect(files)
        counts.append([recorded.images[file] if recorded else _count(file) for file in files])
        splits.append(_stream(files, sum(counts[-1]), shape, has_labels))
    pixels = sum(split.count * math.prod(split.image_shape) for split in splits)
    train: Split
    test: Split
    if pixels <= memory_limit:
        train, test = loaded = [_in_memory(split, each) for split, each in zip(splits, counts, strict=True)]
        largest = max((int(split.labels.max()) for split in loaded if split.labels is not None), default=-1)
    else:
        train, test = splits
        if recorded:
            _check_hashes(recorded)
        largest = -1 if recorded else max(map(_largest_label, splits))
    return ImageDataset(
        name=recorded.name if recorded else "tfrecord",
        source="tfrecord",
        train=train,
        test=test,
        class_names=recorded.class_names if recorded else tuple(map(str, range(largest + 1))) or None,
        version=recorded.version if recorded else None,
    )


@dataclass(frozen=True)
class _Recorded:
    """What ``dataset.json`` records: the data set, and the images and SHA-256 of each file."""

    name: str
    version: str | None
    class_names: tuple[str, ...] | None
    images: dict[str, int]
    sha256: dict[str, str]


def _find_files(patterns: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for pattern in [os.fspath(pattern) for pattern in patterns]:
        try:
            files = [pattern] if tf.io.gfile.exists(pattern) else sorted(tf.io.gfile.glob(pattern))
        except tf.errors.OpError as error:
            raise InputError(f"{pattern}: cannot be looked up ({reason_of(error)})") from error
        if not files:
            raise InputError(f"{pattern}: no such file; expected gzipped TFRecord files")
        found |= dict.fromkeys(files)
    if not found:
        raise InputError("no TFRecord files are named; both a training and a test split are needed")
    return tuple(found)


def _recorded(sides: list[tuple[str, ...]]) -> _Recorded | None:
    """The description beside the files; None if there is none of ours, or it does not list all of the files."""
    root = os.path.dirname(os.path.dirname(sides[0][0]))
    path = os.path.join(root, DESCRIPTION)
    description = read_description(path)
    if description is None:
        return None
    try:
        shards = {os.path.join(root, shard["file"]): shard for side in description["shards"].values() for shard in side}
        if not shards.keys() >= {file for side in sides for file in side}:
            return None
        class_names = description["class_names"]
        return _Recorded(
            name=str(description["name"]),
            version=description["version"],
            class_names=None if class_names is None else tuple(map(str, class_names)),
            images={file: int(shards[file]["images"]) for side in sides for file in side},
            sha256={file: str(shards[file]["sha256"]) for side in sides for file in side},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: is damaged ({error}); write the data set again, or remove it") from error


def _inspect(files: tuple[str, ...]) -> tuple[tuple[int, int, int], bool]:
    """Image shape (H, W, C) of the first record, and whether it has a label."""
    for file in files:
        try:
            records = list(tf.data.TFRecordDataset(file, _GZIP).take(1).as_numpy_iterator())
        except tf.errors.OpError as error:
            raise _damaged(file, error) from error
        if records:
            return _inspect_record(file, records[0])
    raise InputError(f"{files[0]}: holds no records")


def _inspect_record(file: str, record: bytes) -> tuple[tuple[int, int, int], bool]:
    expected = f"expected {IMAGE_KEY} (PNG or JPEG bytes) and, if there are labels, {LABEL_KEY} (one int64)"
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError, whose module is not public
        raise InputError(f"{file}: its records are not tf.Examples; {expected}") from error
    encoded = features[IMAGE_KEY].bytes_list.value if IMAGE_KEY in features else []
    if len(encoded) != 1:
        raise InputError(f"{file}: its records have {', '.join(sorted(features)) or 'no features'}; {expected}")
    try:
        height, width, channels = tf.io.decode_png(encoded[0]).shape
    except tf.errors.OpError as error:
        raise InputError(f"{file}: {IMAGE_KEY} is not an image ({reason_of(error)}); {expected}") from error
    if channels not in (1, 3):
        raise InputError(f"{file}: its images have {channels} channels; they must have 1 or 3")
    return (height, width, channels), LABEL_KEY in features


def _count(file: str) -> int:
    try:
        # Counting single records takes many times as long as whole batches.
        batches = tf.data.TFRecordDataset(file, _GZIP).batch(1024).as_numpy_iterator()
        return sum(len(batch) for batch in batches)
    except tf.errors.OpError as error:
        raise _damaged(file, error) from error


def _stream(files: tuple[str, ...], count: int, shape: tuple[int, int, int], has_labels: bool) -> StreamSplit:
    size = sum(tf.io.gfile.stat(file).length for file in files)
    return StreamSplit(
        shards=tuple(map(Shard, files)),
        count=count,
        image_shape=shape,
        has_labels=has_labels,
        decode=_decoder(shape, has_labels),
        shuffle_buffer=max(1, min(count, _SHUFFLE_BYTES * count // max(1, size))),
        compression=_GZIP,
    )


@functools.cache  # traced once for both splits, and whatever the number of files
def _decoder(shape: tuple[int, int, int], has_labels: bool) -> Callable[[tf.Tensor], Any]:
    stored = {IMAGE_KEY: tf.io.FixedLenFeature((), tf.string)}
    if has_labels:
        stored[LABEL_KEY] = tf.io.FixedLenFeature((), tf.int64)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def decode(records: tf.Tensor) -> Any:
        examples = parse_examples(records, stored)
        # decode_png reads JPEG too.
        images = map_batch(
            lambda encoded: tf.ensure_shape(tf.io.decode_png(encoded, shape[2]), shape),
            examples[IMAGE_KEY],
            tf.TensorSpec(shape, tf.uint8),
        )
        if not has_labels:
            return images
        # Labels that are out of range stay out of range.
        return images, tf.cast(tf.clip_by_value(examples[LABEL_KEY], -1, _MOST_CLASSES), tf.int32)

    return decode


def _in_memory(split: StreamSplit, counts: list[int]) -> ArraySplit:
    """Read the split file by file, so that a damaged file can be named."""
    images = np.empty((split.count, *split.image_shape), np.uint8)
    labels = np.empty(split.count, np.int32) if split.has_labels else None
    start = 0
    for shard, count in zip(split.shards, counts, strict=True):
        file, found = shard.file, 0
        for batch_images, batch_labels in _batches(split, file):
            taken = max(0, min(len(batch_images), count - found))
            rows = slice(start + found, start + found + taken)
            images[rows] = batch_images[:taken]
            if labels is not None and batch_labels is not None:
                labels[rows] = batch_labels[:taken]
            found += len(batch_images)
        if found != count:
            raise InputError(f"{file}: holds {found} images, {DESCRIPTION} says {count}; write the data set again")
        start += count
    return ArraySplit(images, labels)


def _largest_label(split: StreamSplit) -> int:
    """The largest label, or -1 without labels. This reads, and so checks, every image."""
    largest = -1
    for shard in split.shards:
        for _, labels in _batches(split, shard.file):
            if labels is not None:
                largest = max(largest, int(labels.max()))
    return largest


def _batches(split: StreamSplit, file: str) -> Iterator[tuple[UInt8Array, Int32Array | None]]:
    """The images and labels of one file, in order."""
    size = max(1, _BATCH_BYTES // math.prod(split.image_shape))
    # Decoded outside of the data set, which would trace a graph for each file.
    records = iter(split.records_of(file).batch(size).prefetch(1))
    while True:
        try:
            serialized = next(records, None)
        except tf.errors.OpError as error:
            raise _damaged(file, error) from error
        if serialized is None:
            return
        try:
            batch = split.decode(serialized)
        except REFUSALS as error:
            label = f" and {LABEL_KEY} (one int64)" if split.has_labels else ""
            raise InputError(
                f"{file}: has a record unlike the first one, {IMAGE_KEY} (PNG or JPEG of {split.image_shape})"
                f"{label}: {reason_of(error)}"
            ) from error
        images, labels = (array.numpy() for array in batch) if split.has_labels else (batch.numpy(), None)
        if labels is not None and (labels.min() < 0 or labels.max() >= _MOST_CLASSES):
            raise InputError(f"{file}: has a {LABEL_KEY} below 0 or above {_MOST_CLASSES - 1}; classes count from 0")
        yield images, labels


def _check_hashes(recorded: _Recorded) -> None:
    for file, expected in recorded.sha256.items():
        digest = hashlib.sha256()
        with tf.io.gfile.GFile(file, "rb") as opened:
            while chunk := opened.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != expected:
            raise InputError(f"{file}: is not the file that {DESCRIPTION} describes (another SHA-256); write it again")


def _damaged(file: str, error: tf.errors.OpError) -> InputError:
    return InputError(f"{file}: cannot be read as a gzipped TFRecord file ({reason_of(error)})")


def reason_of(error: tf.errors.OpError | UnicodeDecodeError) -> str:
    """The last part of TensorFlow's message in one line, without the trace before it and the node around it."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text"
    text = str(error.message).split("\n\t [[")[0].strip().split("\n\n")[-1]
    text = re.sub(r"^\{\{.*?\}\}\s*", "", text).split(" [Op:")[0]
    return " ".join(text.split())[:300]
