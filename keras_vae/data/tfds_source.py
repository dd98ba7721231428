"""Any TFDS data set with images, as an ``ImageDataset``."""

import contextlib
import dataclasses
import difflib
import logging
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from keras_vae.data.dataset import ArraySplit, ImageDataset, Shard, StreamSplit
from keras_vae.data.framing import Framing
from keras_vae.data.map_batch import map_batch
from keras_vae.data.tf_example import parse_examples
from keras_vae.data.tfds_prepare import one_line, prepare
from keras_vae.errors import InputError, nearest

# name[/configuration][:version]. TFDS also takes community namespaces, which would reach the network.
_NAME = re.compile(r"[A-Za-z]\w*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?", re.ASCII)
_SHUFFLE_BYTES = 256 << 20

# Gives the framing for images of a shape, in which None stands for a side that varies.
FramingOf: TypeAlias = Callable[[tuple[int | None, int | None, int]], Framing]


def load_tfds(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    memory_limit: int,
    say: Callable[[str], None],
    *,
    framing_of: FramingOf,
    train_split: str | None = None,
    test_split: str | None = None,
    meanwhile: Callable[[ImageDataset], None] | None = None,
) -> ImageDataset:
    """Read a TFDS data set, which is downloaded and prepared if necessary.

    The splits are ``train`` and ``test`` (or ``validation``), unless TFDS split expressions are given. ``meanwhile`` is
    as for `load_dataset`.

    Raises:
        InputError: when the name or a split is unknown, the files are corrupt, or the images are not uint8 with 1 or
            3 channels; or whatever ``framing_of`` raises.
        SourceUnavailableError: when it is not prepared and cannot be downloaded now.
    """
    with _quiet_tfds():
        builder = _builder(name, data_dir)
        image_key, label_key = _find_features(name, builder.info.features)
        if not builder.is_prepared():
            prepare(builder, name, say)
        framing = framing_of(builder.info.features[image_key].shape)
        names = _find_splits(name, builder.info, train_split, test_split)
        splits = [_stream(builder, split, image_key, label_key, framing) for split in names]
    train, test = splits
    streamed = ImageDataset(
        name=f"{builder.name}/{builder.builder_config.name}" if builder.builder_config else builder.name,
        source="tfds",
        train=train,
        test=test,
        class_names=tuple(builder.info.features[label_key].names) if label_key else None,
        version=str(builder.version),
    )
    if sum(split.count for split in splits) * math.prod(streamed.image_shape) > memory_limit:
        return streamed
    finish = [_begin_reading(split) for split in splits]
    if meanwhile is not None:
        meanwhile(streamed)
    in_memory = [finished() for finished in finish]
    class_names = streamed.class_names if in_memory[0].has_labels else None
    return dataclasses.replace(streamed, train=in_memory[0], test=in_memory[1], class_names=class_names)


def find_prepared(name: str, data_dir: str | os.PathLike[str] | None) -> tuple[bool, Path]:
    """Whether a TFDS data set is prepared, and the folder that was searched. Nothing is downloaded.

    Raises:
        InputError: when the name is unknown, or TFDS cannot open it.
    """
    with _quiet_tfds():
        builder = _builder(name, data_dir)
        return builder.is_prepared(), Path(builder.data_dir_root)


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    if not _NAME.fullmatch(name):
        kind, _, place = name.partition(":")
        near = nearest(kind, ("idx", "folder", "tfrecord")) if place else None
        hint = f"did you mean {near}:{place}?" if near else "a TFDS name looks like mnist or cifar10"
        if os.path.isdir(name):
            hint = f"for the images in that folder, folder:{name}"
        raise InputError(
            f"{name!r} is not a data set; give auto, sample, idx:DIR, folder:DIR, tfrecord:DIR or a TFDS name; {hint}"
        )
    try:
        import tensorflow_datasets as tfds  # deferred: only TFDS data sets need it
        from tensorflow_datasets.core.registered import DatasetNotFoundError
    except ImportError as error:
        raise InputError(
            f"{name}: needs the package tensorflow-datasets ({error}); pip install tensorflow-datasets"
        ) from error

    folder = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    if folder is not None:
        folder = Path(folder).expanduser()
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is not a directory; data-dir is the directory where TFDS keeps its data")
    try:
        with _own_temporary_folder():
            return tfds.builder(name, data_dir=folder)
    except DatasetNotFoundError:
        names = ["auto", "sample", *tfds.list_builders(with_community_datasets=False)]
        found = difflib.get_close_matches(name.lower(), names)
        hint = f"did you mean {' or '.join(found)}?" if found else "the TFDS catalogue lists all names"
        if os.path.isdir(name):
            hint = f"for the images in that folder, give folder:{name}"
        where = f" and none is prepared in {folder}" if folder else ""
        raise InputError(f"{name}: TFDS has no data set of this name{where}; {hint}") from None
    except Exception as error:  # TFDS runs the data set's own code: anything may come
        detail = re.sub(r"^Failed to construct dataset .*?}\": | Here are .*$", "", one_line(error))
        raise InputError(f"{name}: TFDS cannot open it ({detail})") from error


def _find_features(name: str, features: Any) -> tuple[str, str | None]:
    """The feature keys of the image and, if there is one, of its class."""
    import tensorflow_datasets as tfds  # deferred, as above

    if not isinstance(features, tfds.features.FeaturesDict):
        features = {}
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image) and not isinstance(feature, tfds.features.LabeledImage)
    ]
    if not images:
        raise InputError(f"{name}: has no images; its features are {', '.join(features) or 'not named'}")
    image_key = "image" if "image" in images else images[0]
    shape, dtype = features[image_key].shape, np.dtype(features[image_key].np_dtype)
    if shape[2] not in (1, 3) or dtype != np.uint8:
        raise InputError(f"{name}: images are {dtype} {shape}; they must be uint8 with 1 or 3 channels")
    classes = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    return image_key, "label" if "label" in classes else classes[0] if len(classes) == 1 else None


def _find_splits(name: str, info: Any, train: str | None, test: str | None) -> tuple[str, str]:
    train = train or "train"
    test = test or next((split for split in ("test", "validation") if split in info.splits), "test or validation")
    for split in (train, test):
        try:
            count = info.splits[split].num_examples
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{name}: has no split {split}, has {', '.join(info.splits)}; name others with --train-split and "
                "--test-split, such as 'train[:90%]' and 'train[90%:]'"
            ) from error
        if not count:
            raise InputError(f"{name}: split {split} holds no images")
    return train, test


def _stream(builder: Any, split_name: str, image_key: str, label_key: str | None, framing: Framing) -> StreamSplit:
    info = builder.info
    if info.file_format.value != "tfrecord":
        raise InputError(
            f"{builder.name}: is prepared as {info.file_format.value}; prepare it as tfrecord, TFDS's default"
        )
    split = info.splits[split_name]
    stored_shape = info.features[image_key].shape
    # Read directly, because TFDS's own decoding detects the format of each image again and takes three times as long.
    stored = {image_key: tf.io.FixedLenFeature((), tf.string)}
    if label_key is not None:
        stored[label_key] = tf.io.FixedLenFeature((), tf.int64)

    def decode(records: tf.Tensor) -> Any:
        examples = parse_examples(records, stored)
        # decode_png reads JPEG and GIF too.
        images = map_batch(
            lambda encoded: framing.apply(tf.ensure_shape(tf.io.decode_png(encoded, stored_shape[2]), stored_shape)),
            examples[image_key],
            tf.TensorSpec(framing.shape, tf.uint8),
        )
        return images if label_key is None else (images, tf.cast(examples[label_key], tf.int32))

    stored_splits = info.splits.values()
    bytes_a_record = sum(each.num_bytes for each in stored_splits) / sum(each.num_examples for each in stored_splits)
    records_that_fit = int(_SHUFFLE_BYTES / max(1, bytes_a_record))
    return StreamSplit(
        shards=tuple(map(_shard, split.file_instructions)),
        count=split.num_examples,
        image_shape=framing.shape,
        has_labels=label_key is not None,
        decode=decode,
        shuffle_buffer=max(1, min(split.num_examples, records_that_fit)),
    )


def _shard(part: Any) -> Shard:
    """The records that TFDS would read. Of a whole file take all, so that surplus records are noticed."""
    is_whole = part.skip == 0 and part.take == part.examples_in_shard
    return Shard(str(part.filename), part.skip, -1 if is_whole else part.take)


def _begin_reading(split: StreamSplit) -> Callable[[], ArraySplit]:
    """As `StreamSplit.reading`."""
    with _readable(split):
        finish = split.reading()

    def finished() -> ArraySplit:
        with _readable(split):
            loaded = finish()
        if loaded.labels is not None and loaded.labels.min() < 0:
            return ArraySplit(loaded.images)  # TFDS writes -1 if the labels of a split are withheld
        return loaded

    return finished


@contextlib.contextmanager
def _readable(split: StreamSplit) -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise InputError(
            f"{split.shards[0].file}: cannot be read ({one_line(error)}); prepare the data set again"
        ) from error


@contextlib.contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """Put temporary files into a folder that is removed, because TFDS leaves one behind for each data set it opens."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Keep TFDS's own warnings out of the terminal; our messages say what users have to know."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
