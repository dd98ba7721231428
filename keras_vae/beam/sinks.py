"""Write a job's results as shards that are named at the end, so that retries leave no duplicates.

Workers write under random names. The files of failed attempts keep names that no one knows, because only the names of
successful attempts reach `NameShards`.
"""

from __future__ import annotations

import io
import json
import posixpath
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from keras_vae.beam.batch import BadImage
from keras_vae.data.tfrecord import IMAGE_KEY, LABEL_KEY

SUMMARY, BAD_IMAGES = "summary.json", "bad_images.txt"
FORMAT = "keras-vae batch job 1"
"""The entry of a summary that marks a folder as ours."""
UNNAMED = ".unnamed"
"""Folder of the shards that are not named yet."""

_ROW_GROUP_BYTES = 16 << 20


class Fragment(NamedTuple):
    """A written file with consecutive images from one part of the input.

    Args:
        part: number of the part.
        start: position of its first image in the part.
        path: path of the file.
        images: number of images in it.
    """

    part: int
    start: int
    path: str
    images: int


class Writer(Protocol):
    """An open file of one format."""

    def write(self, result: PredictionResult) -> None:
        """Append the results of an `ImageBatch`."""

    def close(self) -> None:
        """Finish the file."""


class ShardFormat(Protocol):
    """How shards are written and named: ``prefix-00003-of-00008``, then the suffix."""

    prefix: str
    suffix: str

    def open(self, path: str) -> Writer:
        """A new file."""


class ParquetLatents:
    """Parquet: ``name`` string, ``mean`` and ``log_var`` lists of L float32, ``label`` int32 or null.

    A model of codes also gives ``codes``, lists of M int32.

    Args:
        latent_dim: L.
        codes: M; 0 if the model has no codes.
    """

    prefix, suffix = "latents", ".parquet"

    def __init__(self, latent_dim: int, codes: int = 0) -> None:
        self._latent_dim, self._codes = latent_dim, codes

    def open(self, path: str) -> Writer:
        """A new file."""
        return _ParquetWriter(path, self._latent_dim, self._codes)


class TFRecordLatents:
    """Gzipped TFRecords of tf.Example: ``name``, ``mean`` and ``log_var`` with L floats, ``label`` if known, and
    ``codes`` of a model that has any."""

    prefix, suffix = "latents", ".tfrecord.gz"

    def open(self, path: str) -> Writer:
        """A new file."""
        return _TFRecordWriter(path, _latent_features)


class TFRecordImages:
    """Gzipped TFRecords of tf.Example: ``image/encoded`` (a PNG), ``name``, and ``label`` if known."""

    prefix, suffix = "reconstructions", ".tfrecord.gz"

    def open(self, path: str) -> Writer:
        """A new file."""
        return _TFRecordWriter(path, _image_features)


class _ParquetWriter:
    def __init__(self, path: str, latent_dim: int, codes: int) -> None:
        latent = pa.list_(pa.float32(), latent_dim)
        fields = {"name": pa.string(), "mean": latent, "log_var": latent}
        if codes:
            fields["codes"] = pa.list_(pa.int32(), codes)
        self._latents = [name for name in fields if name != "name"]
        fields["label"] = pa.int32()
        self._schema = pa.schema(list(fields.items()))
        self._file = _GFile(path)
        self._writer = pq.ParquetWriter(self._file, self._schema)
        self._waiting: list[pa.Table] = []

    def write(self, result: PredictionResult) -> None:
        images = result.example
        latents = [result.inference[name] for name in self._latents]
        columns = [
            pa.array(images.names, pa.string()),
            *(pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), array.shape[1]) for array in latents),
            pa.array(images.labels, mask=images.labels < 0),
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self._schema))
        # One row group per batch would make files slow to read.
        if sum(table.nbytes for table in self._waiting) >= _ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting.clear()


class _GFile(io.RawIOBase):
    """A new file on one of TensorFlow's file systems as the Python file object that PyArrow needs."""

    def __init__(self, path: str) -> None:
        self._file = tf.io.gfile.GFile(path, "wb")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _TFRecordWriter:
    def __init__(self, path: str, features_of: Any) -> None:
        self._writer = tf.io.TFRecordWriter(path, "GZIP")
        self._features_of = features_of

    def write(self, result: PredictionResult) -> None:
        images = result.example
        for name, label, features in zip(images.names, images.labels, self._features_of(result), strict=True):
            features["name"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()]))
            if label >= 0:
                features[LABEL_KEY] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
            example = tf.train.Example(features=tf.train.Features(feature=features))
            self._writer.write(example.SerializeToString(deterministic=True))

    def close(self) -> None:
        self._writer.close()


def _latent_features(result: PredictionResult) -> Iterator[dict[str, tf.train.Feature]]:
    found = result.inference
    for row in range(len(found["mean"])):
        features = {
            name: tf.train.Feature(float_list=tf.train.FloatList(value=found[name][row]))
            for name in ("mean", "log_var")
        }
        if "codes" in found:
            features["codes"] = tf.train.Feature(int64_list=tf.train.Int64List(value=found["codes"][row]))
        yield features


def _image_features(result: PredictionResult) -> Iterator[dict[str, tf.train.Feature]]:
    pixels = np.round(np.clip(result.inference["reconstruction"], 0, 1) * 255).astype(np.uint8)
    for encoded in tf.io.encode_png(pixels).numpy():
        yield {IMAGE_KEY: tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))}


class WriteShards(beam.DoFn):
    """Writes results of `RunInference` into one file per part, and yields a `Fragment` for each file.

    Args:
        folder: folder of the job.
        shard_format: format of the files.
    """

    def __init__(self, folder: str, shard_format: ShardFormat) -> None:
        self._folder, self._format = posixpath.join(folder, UNNAMED), shard_format

    def start_bundle(self) -> None:
        """Start without an open file."""
        self._writer: Writer | None = None
        self._fragment = Fragment(-1, 0, "", 0)

    def process(self, result: PredictionResult) -> Iterator[Fragment]:
        """Append a batch."""
        images = result.example
        if self._writer is None or self._fragment.part != images.part:
            # Parts arrive one after another, so one open file is enough.
            yield from self._close()
            self._open(images.part, images.start)
        assert self._writer is not None
        self._writer.write(result)
        self._fragment = self._fragment._replace(images=self._fragment.images + len(images.names))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Finish the last file."""
        for fragment in self._close():
            yield WindowedValue(fragment, GlobalWindow().max_timestamp(), [GlobalWindow()])

    def _open(self, part: int, start: int) -> None:
        path = posixpath.join(self._folder, uuid.uuid4().hex + self._format.suffix)
        self._writer = self._format.open(path)
        self._fragment = Fragment(part, start, path, 0)

    def _close(self) -> Iterator[Fragment]:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            yield self._fragment


class NameShards(beam.DoFn):
    """Names the fragments of a finished job in the order of the input, and writes the summary.

    A second attempt recognises the files that the first has renamed, and continues.

    Args:
        folder: folder of the job.
        shard_format: format of the files.
        about: entries of the summary besides ``format images bad_images shards``.
    """

    def __init__(self, folder: str, shard_format: ShardFormat, about: dict[str, Any]) -> None:
        self._folder, self._format, self._about = folder, shard_format, about

    def process(self, start: None, fragments: Iterable[Fragment], bad: Iterable[BadImage]) -> None:
        """Name all ``fragments`` and list all ``bad`` images; ``start``, the only element, carries nothing."""
        fragments = sorted(fragments)
        shards = []
        for number, fragment in enumerate(fragments):
            name = f"{self._format.prefix}-{number:05}-of-{len(fragments):05}{self._format.suffix}"
            path = posixpath.join(self._folder, name)
            if tf.io.gfile.exists(fragment.path) or not tf.io.gfile.exists(path):
                tf.io.gfile.rename(fragment.path, path, overwrite=True)
            shards.append({"file": name, "images": fragment.images})
        images = sum(fragment.images for fragment in fragments)
        write_summary(self._folder, {**self._about, "images": images, "shards": shards}, bad)


def write_summary(folder: str, summary: dict[str, Any], bad: Iterable[BadImage]) -> None:
    """Write ``bad_images.txt`` with a line ``name: reason`` per image, then ``summary.json``, the job's last file."""
    lines = [" ".join(f"{image.name}: {image.reason}".split()) for image in sorted(bad)]
    with tf.io.gfile.GFile(posixpath.join(folder, BAD_IMAGES), "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    with tf.io.gfile.GFile(posixpath.join(folder, SUMMARY), "w") as file:
        file.write(json.dumps({"format": FORMAT, **summary, "bad_images": len(lines)}, indent=2) + "\n")
