"""A data set of images: two splits, in memory or on disk, and the description that a run records."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.data.fingerprint import Fingerprint
from keras_vae.errors import InputError

UInt8Array: TypeAlias = npt.NDArray[np.uint8]
Int32Array: TypeAlias = npt.NDArray[np.int32]

# Records that are decoded together, and how much of decoded images may wait to be collected.
_BATCH, _BYTES_AHEAD = 1024, 128 << 20


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """A split in memory.

    Args:
        images: uint8 (N, H, W, C), N of at least 1, C of 1 or 3.
        labels: int32 (N,), or None.
        paths: the file of each image, N, where there are any.

    Raises:
        InputError: when the arrays have other types or shapes.
    """

    images: UInt8Array
    labels: Int32Array | None = None
    paths: tuple[Path, ...] | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or images.size == 0:
            raise InputError(f"images must be uint8 (N, H, W, 1 or 3), got {images.dtype} {images.shape}")
        if labels is not None and (labels.dtype != np.int32 or labels.shape != images.shape[:1]):
            raise InputError(f"labels must be int32 ({len(images)},), got {labels.dtype} {labels.shape}")

    @property
    def count(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    def first(self, n: int) -> tuple[UInt8Array, Int32Array | None]:
        """The first ``n`` images (or all, if there are fewer), uint8, and their labels, int32, or None."""
        return self.images[:n], None if self.labels is None else self.labels[:n]

    def read(self, numbers: npt.NDArray[np.int64]) -> UInt8Array:
        """The images with these numbers."""
        return self.images[numbers]

    def take(self, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Images and labels with these numbers, int64 (N,), in a graph."""
        images, labels = self.tensors
        return tf.gather(images, numbers), None if labels is None else tf.gather(labels, numbers)

    @cached_property
    def tensors(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Images and labels as tensors, made once because TensorFlow copies NumPy arrays."""
        # On the CPU, where the pipeline runs; otherwise the whole split would occupy a GPU's memory.
        with tf.init_scope(), tf.device("CPU"):
            return tf.constant(self.images), None if self.labels is None else tf.constant(self.labels)

    def sha256(self) -> str:
        """The pixels' `Fingerprint`."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        fingerprint = Fingerprint()
        fingerprint.add(self.images)
        return fingerprint.hexdigest()


@dataclass(frozen=True)
class Shard:
    """A TFRecord file, or a part of it: ``take`` records (-1: all) after the first ``skip``."""

    file: str
    skip: int = 0
    take: int = -1


@dataclass(frozen=True, eq=False)
class StreamSplit:
    """A split that stays on disk, in TFRecord files.

    Args:
        shards: the files with the records, in order.
        count: number of images in all shards.
        image_shape: (H, W, C), the same for every image.
        has_labels: whether ``decode`` returns labels.
        decode: maps a batch of serialised records (string, (N,)) to images uint8 (N, H, W, C), or to images and labels
            int32 (N,).
        shuffle_buffer: number of records held for shuffling.
        compression: compression of the files, empty or ``GZIP``.
    """

    shards: tuple[Shard, ...]
    count: int
    image_shape: tuple[int, int, int]
    has_labels: bool
    decode: Callable[[tf.Tensor], Any]
    shuffle_buffer: int
    compression: str = ""

    def records(self) -> tf.data.Dataset:
        """Every serialised record once, in the order of the shards."""
        return self.shards_in(tf.range(len(self.shards))).flat_map(self.records_of)

    def shards_in(self, order: tf.Tensor) -> tf.data.Dataset:
        """The shards with these numbers, each as the arguments of `records_of`."""
        fields = ([getattr(shard, name) for shard in self.shards] for name in ("file", "skip", "take"))
        types = (tf.string, tf.int64, tf.int64)
        columns = (tf.constant(values, dtype) for values, dtype in zip(fields, types, strict=True))
        return tf.data.Dataset.from_tensor_slices(tuple(tf.gather(column, order) for column in columns))

    @tf.autograph.experimental.do_not_convert  # it would only take time
    def records_of(self, file: Any, skip: Any = 0, take: Any = -1) -> tf.data.Dataset:
        """The serialised records, string (), of one shard."""
        return tf.data.TFRecordDataset(file, compression_type=self.compression).skip(skip).take(take)

    def first(self, n: int) -> tuple[UInt8Array, Int32Array | None]:
        """The first ``n`` images (or all, if there are fewer), uint8, and their labels, int32, or None."""
        return self._collect(self._batches(self.records().take(n), ahead=2), min(n, self.count))

    def sha256(self) -> None:
        """None: computing it would mean reading every record."""

    def in_memory(self) -> ArraySplit:
        """Read the split into memory.

        Raises:
            InputError: when the files hold more or fewer images than ``count``.
            tf.errors.OpError: when a file is missing or corrupt.
        """
        return self.reading()()

    def reading(self) -> Callable[[], ArraySplit]:
        """Begin to read the split into memory, which goes on in the background; the result waits for it.

        Both raise what `in_memory` does.
        """
        ahead = max(2, _BYTES_AHEAD // (_BATCH * math.prod(self.image_shape)))
        batches = self._batches(self.records(), ahead)
        begun = [*itertools.islice(batches, 1)]  # from the first batch on, TensorFlow reads ahead by itself
        return lambda: ArraySplit(*self._collect(itertools.chain(begun, batches), self.count))

    def _batches(self, records: tf.data.Dataset, ahead: int) -> Iterator[Any]:
        """Decoded batches; up to ``ahead`` of them are read before they are asked for."""
        # Parsing and decoding single records takes twice as long as whole batches.
        decode = tf.autograph.experimental.do_not_convert(self.decode)
        batches = records.batch(_BATCH).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        return iter(batches.prefetch(ahead).as_numpy_iterator())

    def _collect(self, batches: Iterator[Any], count: int) -> tuple[UInt8Array, Int32Array | None]:
        images = np.empty((count, *self.image_shape), np.uint8)
        labels = np.empty(count, np.int32) if self.has_labels else None
        filled, place = 0, self.shards[0].file
        for batch in batches:
            batch_images = batch[0] if self.has_labels else batch
            end = filled + len(batch_images)
            if end > count:
                raise InputError(f"{place}: holds more images than the {count} announced; prepare it again")
            images[filled:end] = batch_images
            if labels is not None:
                labels[filled:end] = batch[1]
            filled = end
        if filled < count:
            raise InputError(f"{place}: holds {filled} images of the {count} announced; prepare it again")
        return images, labels


@dataclass(frozen=True, eq=False)
class IndexedSplit:
    """A split that stays on disk, with random access to its images.

    Args:
        count: number of images.
        image_shape: (H, W, C), the same for every image.
        read: maps numbers of images, int64 (N,), to images uint8 (N, H, W, C). It is called from several threads.
        labels: int32 (N,), or None.
        pixels_sha256: the pixels' `Fingerprint`.
        read_with: for images that are drawn anew in every epoch: maps a seed to a function like ``read`` for all
            epochs, in which image i of an epoch has the number epoch · count + i. ``read`` then has one seed.
        paths: the file of each image, where each has one of its own.
    """

    count: int
    image_shape: tuple[int, int, int]
    read: Callable[[npt.NDArray[np.int64]], UInt8Array]
    labels: Int32Array | None
    pixels_sha256: str
    read_with: Callable[[int], Callable[[npt.NDArray[np.int64]], UInt8Array]] | None = None
    paths: tuple[Path, ...] | None = None

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    def first(self, n: int) -> tuple[UInt8Array, Int32Array | None]:
        """The first ``n`` images (or all, if there are fewer), uint8, and their labels, int32, or None."""
        numbers = np.arange(min(n, self.count))
        return self.read(numbers), None if self.labels is None else self.labels[numbers]

    def take(self, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Images and labels with these numbers, int64 (N,), in a graph."""
        images = tf.numpy_function(self.read, [numbers], tf.uint8, stateful=False)
        images = tf.ensure_shape(images, (numbers.shape[0], *self.image_shape))
        return images, None if self.labels is None else tf.gather(tf.constant(self.labels), numbers % self.count)

    def seeded(self, seed: int) -> "IndexedSplit":
        """The split whose draws are those of ``seed``, if its images are drawn."""
        return self if self.read_with is None else dataclasses.replace(self, read=self.read_with(seed))

    def sha256(self) -> str:
        """The pixels' `Fingerprint`."""
        return self.pixels_sha256


Split: TypeAlias = ArraySplit | StreamSplit | IndexedSplit


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images to train on and images to test on, of one shape.

    Args:
        name: its name, such as ``mnist``.
        source: the kind of source: ``tfds``, ``idx``, ``folder``, ``sample`` or ``tfrecord``.
        train: the training split.
        test: the test split.
        class_names: the name of each label, or None without labels.
        version: the version given by the source, if any.
        unlabelled: the reason why there are no labels, if it is known.
        grey_train: if the images are draws of `binarized`, the training images that they were drawn from.
    """

    name: str
    source: str
    train: Split
    test: Split
    class_names: tuple[str, ...] | None = None
    version: str | None = None
    unlabelled: str | None = None
    grey_train: Split | None = None

    def __post_init__(self) -> None:
        if self.train.image_shape != self.test.image_shape:
            raise InputError(
                f"{self.name}: training images are {self.train.image_shape} and test images "
                f"{self.test.image_shape}; both splits need one shape"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.train.image_shape

    @property
    def trained_on(self) -> Split:
        """The images that training takes batches of: grey ones, if it draws from them, else ``train``."""
        return self.train if self.grey_train is None else self.grey_train

    @property
    def num_classes(self) -> int | None:
        """The number of classes, or None without labels."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def class_counts(self) -> list[int] | None:
        """Number of training images in each class; None without labels, or if counting would mean reading records."""
        labels = None if isinstance(self.train, StreamSplit) else self.train.labels
        if labels is None or self.num_classes is None:
            return None
        counts: list[int] = np.bincount(labels[labels >= 0], minlength=self.num_classes).tolist()
        return counts

    def describe(self) -> dict[str, Any]:
        """The description that a run records, ready for JSON.

        ``sha256`` is the `Fingerprint` of each split's pixels, which does not depend on their order. It is None for
        streamed TFRecords.
        """
        splits = {"train": self.train, "test": self.test}
        return {
            "name": self.name,
            "source": self.source,
            "version": self.version,
            "image_shape": list(self.image_shape),
            "num_classes": self.num_classes,
            "class_names": None if self.class_names is None else list(self.class_names),
            "counts": {key: split.count for key, split in splits.items()},
            "sha256": {
                key: None if isinstance(split, StreamSplit) else split.sha256() for key, split in splits.items()
            },
        }
