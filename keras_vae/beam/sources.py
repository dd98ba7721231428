"""Read a job's images from TFRecord files or image files, in parts that workers read independently."""

from __future__ import annotations

import functools
import glob
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from keras_vae.beam.batch import BadImage, ImageBatch
from keras_vae.data.dataset import UInt8Array
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image
from keras_vae.data.tf_example import parse_examples
from keras_vae.data.tfrecord import IMAGE_KEY, LABEL_KEY
from keras_vae.data.tfrecord_source import REFUSALS, reason_of
from keras_vae.errors import InputError

RECORDS, IMAGES = "tfrecord:", "images:"
BAD = "bad"
"""Tag of the second output of `ReadImages`."""

_FILES_IN_A_PART = 2048
_PNG = b"\x89PNG\r\n\x1a\n"
_NO_LABEL = -1

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Part:
    """A piece of the input that one worker reads from end to end.

    Args:
        number: position of the part in the input.
        files: one TFRecord file, or several image files.
        is_records: whether it is a TFRecord file.
    """

    number: int
    files: tuple[str, ...]
    is_records: bool


def find_parts(dataset: str, split: str = "test") -> list[Part]:
    """The parts of ``tfrecord:PATTERN``, ``tfrecord:DIR`` (its ``split``, if it has splits) or ``images:PATTERN``.

    A part is one TFRecord file or 2,048 image files. ``**`` in a pattern of images matches any number of folders.

    Raises:
        InputError: if ``dataset`` is none of these, or if no file matches.
    """
    if dataset.startswith(RECORDS):
        files = _find_record_files(dataset.removeprefix(RECORDS), split)
        return [Part(number, (file,), is_records=True) for number, file in enumerate(files)]
    if dataset.startswith(IMAGES):
        files = _find_image_files(dataset.removeprefix(IMAGES))
        starts = range(0, len(files), _FILES_IN_A_PART)
        return [
            Part(number, tuple(files[start : start + _FILES_IN_A_PART]), is_records=False)
            for number, start in enumerate(starts)
        ]
    raise InputError(f"{dataset!r:.200}: a batch job reads tfrecord:PATTERN, tfrecord:DIR or images:PATTERN")


def _find_record_files(pattern: str, split: str) -> list[str]:
    chosen = pattern
    try:
        if tf.io.gfile.isdir(pattern):
            of_split = os.path.join(pattern, split)
            chosen = (
                os.path.join(of_split, "*") if tf.io.gfile.isdir(of_split) else os.path.join(pattern, "*.tfrecord*")
            )
        files = sorted(file for file in tf.io.gfile.glob(chosen) if not tf.io.gfile.isdir(file))
    except tf.errors.OpError as error:
        raise InputError(f"{pattern}: cannot be looked up ({reason_of(error)})") from error
    if not files:
        raise InputError(f"{chosen}: no such TFRecord file; give tfrecord:DIR or tfrecord:PATTERN")
    return files


def _find_image_files(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        raise InputError(f"{pattern}: is a directory; give the files in it, such as 'images:{pattern}/**/*.png'")
    files = sorted(file for file in glob.iglob(pattern, recursive=True) if os.path.isfile(file))
    if not files:
        raise InputError(f"{pattern}: no such image file; give images:PATTERN")
    return files


class ReadImages(beam.DoFn):
    """Reads the `ImageBatch`es of each `Part`, and yields a `BadImage` to the output `BAD` for each image left out.

    An image is bad if it cannot be decoded, if it claims more pixels than are safe to decode, if an image in a TFRecord
    does not have the model's size, or if a conditional model does not know its label. Metrics count ``images`` and
    ``bad_images``. While one batch is processed, the next one is decoded.

    Args:
        framing: how image files are resized and cropped; images in TFRecords must have its shape.
        num_classes: number of classes of a conditional model, else None.
        batch_size: images per batch.

    Raises:
        InputError: if a TFRecord file is damaged.
    """

    def __init__(self, framing: Framing, num_classes: int | None, batch_size: int) -> None:
        self._framing, self._num_classes, self._batch_size = framing, num_classes, batch_size
        self._images = Metrics.counter("keras_vae", "images")
        self._bad_images = Metrics.counter("keras_vae", "bad_images")

    def process(self, part: Part) -> Iterator[Any]:
        """Read a part in order."""
        read = self._read_records if part.is_records else self._read_files
        for batch, bad in read(part):
            self._images.inc(len(batch.names))
            self._bad_images.inc(len(bad))
            for image in bad:
                yield TaggedOutput(BAD, image)
            if batch.names:
                yield batch

    def _read_records(self, part: Part) -> Iterator[tuple[ImageBatch, list[BadImage]]]:
        (file,) = part.files
        name = _text(file)
        decoder = RecordDecoder(self._framing.shape, self._num_classes)

        def decode(numbered: tuple[int, tf.Tensor]) -> tuple[ImageBatch, list[BadImage]]:
            start = numbered[0] * self._batch_size
            images, labels, faults = decoder.decode(numbered[1])
            good = [row for row in range(len(labels)) if row not in faults]
            names = [f"{name}:{start + row}" for row in good]
            bad = [BadImage(f"{name}:{start + row}", fault) for row, fault in sorted(faults.items())]
            return ImageBatch(part.number, start, names, images, labels[good].astype(np.int32)), bad

        records = tf.data.TFRecordDataset(file, "GZIP" if file.endswith(".gz") else "").batch(self._batch_size)
        try:
            yield from _one_ahead(decode, enumerate(records.prefetch(2)))
        except tf.errors.OpError as error:
            raise InputError(f"{file}: cannot be read as a TFRecord file ({reason_of(error)})") from error

    def _read_files(self, part: Part) -> Iterator[tuple[ImageBatch, list[BadImage]]]:
        def decode(start: int) -> tuple[ImageBatch, list[BadImage]]:
            files = part.files[start : start + self._batch_size]
            found = dict(zip(files, pool.map(self._image_or_fault, files), strict=True))
            images = {_text(file): image for file, image in found.items() if not isinstance(image, str)}
            bad = [BadImage(_text(file), fault) for file, fault in found.items() if isinstance(fault, str)]
            pixels = np.stack(list(images.values())) if images else np.empty((0, *self._framing.shape), np.uint8)
            return ImageBatch(part.number, start, list(images), pixels, np.full(len(images), _NO_LABEL, np.int32)), bad

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from _one_ahead(decode, range(0, len(part.files), self._batch_size))

    def _image_or_fault(self, file: str) -> UInt8Array | str:
        try:
            return read_image(Path(file), self._framing)
        except InputError as error:
            return str(error).removeprefix(f"{file}: ")


class RecordDecoder:
    """Decodes batches of serialised tf.Examples with PNG or JPEG images; one by one if a batch contains a bad image.

    Args:
        shape: (H, W, C) of every image; images with another height or width are not decoded.
        num_classes: number of valid labels, or None if labels do not matter.
    """

    def __init__(self, shape: tuple[int, int, int], num_classes: int | None) -> None:
        self._shape, self._num_classes = shape, num_classes
        self._png_size = struct.pack(">II", shape[1], shape[0])
        self._to_pixels = _pixel_decoder(shape)

    def decode(self, records: tf.Tensor) -> tuple[UInt8Array, npt.NDArray[np.int64], dict[int, str]]:
        """Returns images uint8 (M, H, W, C) of the good records, labels (N,) of all records, and faults by row."""
        faults: dict[int, str] = {}
        encoded, labels = self._parse(records, faults)
        for row in range(len(labels)):
            if row not in faults and (fault := self._find_fault(encoded[row], labels[row])):
                faults[row] = fault
        good = [row for row in range(len(labels)) if row not in faults]
        return self._decode_good(encoded, good, faults), labels, faults

    def _parse(self, records: tf.Tensor, faults: dict[int, str]) -> tuple[Any, npt.NDArray[np.int64]]:
        features = {
            IMAGE_KEY: tf.io.FixedLenFeature((), tf.string, ""),
            LABEL_KEY: tf.io.FixedLenFeature((), tf.int64, _NO_LABEL),
        }
        try:
            parsed = parse_examples(records, features)
        except REFUSALS:
            if len(records) == 1:
                faults[0] = f"is not a tf.Example with {IMAGE_KEY} and, if there are labels, {LABEL_KEY}"
                return np.array([b""], object), np.array([_NO_LABEL])
            parts = []
            for row in range(len(records)):
                of_row: dict[int, str] = {}
                parts.append(self._parse(records[row : row + 1], of_row))
                if of_row:
                    faults[row] = of_row[0]
            encoded, labels = zip(*parts, strict=True)
            return np.concatenate(encoded), np.concatenate(labels)
        return parsed[IMAGE_KEY].numpy(), parsed[LABEL_KEY].numpy()

    def _find_fault(self, encoded: bytes, label: int) -> str | None:
        """Find a fault that shows without decoding."""
        if self._num_classes is not None and not 0 <= label < self._num_classes:
            which = "no label" if label == _NO_LABEL else f"the label {label}"
            return f"has {which}; the conditional model knows the labels 0 to {self._num_classes - 1}"
        if not _NO_LABEL <= label < 1 << 31:
            return f"has the label {label}, which is not a class number"
        if encoded.startswith(_PNG):
            if encoded[16:24] == self._png_size:
                return None
            sides = struct.unpack(">II", encoded[16:24]) if len(encoded) >= 24 else (0, 0)
        else:
            try:
                height, width, _ = tf.io.extract_jpeg_shape(encoded).numpy()
            except REFUSALS:
                return "is neither PNG nor JPEG"
            sides = (width, height)
        wanted = (self._shape[1], self._shape[0])
        return None if sides == wanted else f"is {sides[0]}×{sides[1]}, the model takes {wanted[0]}×{wanted[1]}"

    def _decode_good(self, encoded: Any, good: list[int], faults: dict[int, str]) -> UInt8Array:
        if not good:
            return np.empty((0, *self._shape), np.uint8)
        try:
            pixels: UInt8Array = self._to_pixels(tf.constant(encoded[good])).numpy()
        except REFUSALS as error:
            if len(good) == 1:
                faults[good[0]] = f"cannot be decoded ({reason_of(error)})"
                return np.empty((0, *self._shape), np.uint8)
            pixels = np.concatenate([self._decode_good(encoded, [row], faults) for row in good])
        return pixels


@functools.cache  # traced once per process
def _pixel_decoder(shape: tuple[int, int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        # decode_png reads JPEG too.
        to_pixels = functools.partial(tf.io.decode_png, channels=shape[2])
        return tf.ensure_shape(tf.map_fn(to_pixels, encoded, fn_output_signature=tf.uint8), (None, *shape))

    return decode


def _text(path: str) -> str:
    """A path as text, even if its bytes are not valid UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _one_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The function's results in order, each computed while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[Result] | None = None
        for item in items:
            following = pool.submit(function, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
