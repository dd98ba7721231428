"""Any TFDS data set with images of one size, as an ``ImageDataset``."""

import contextlib
import difflib
import functools
import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.data.dataset import ArraySplit, ImageDataset, StreamSplit
from keras_vae.data.tfds_prepare import one_line, prepare
from keras_vae.errors import InputError

# name[/configuration][:version]; what else TFDS takes (community name spaces) would reach the network.
_NAME = re.compile(r"[A-Za-z]\w*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?", re.ASCII)
_SHUFFLE_BYTES = 256 << 20


def load_tfds(
    name: str, data_dir: str | os.PathLike[str] | None, memory_limit: int, say: Callable[[str], None]
) -> ImageDataset:
    """Reads a TFDS data set, prepared or downloaded first: splits ``train`` and ``test`` (or ``validation``).

    Raises:
        InputError: when the name is unknown, the files are corrupt, or the images are not uint8 of one known
            size with 1 or 3 channels.
        SourceUnavailableError: when it is not prepared and cannot be downloaded now.
    """
    with _quiet_tfds():
        builder = _builder(name, data_dir)
        image_key, label_key = _find_features(name, builder.info.features)
        if not builder.is_prepared():
            prepare(builder, name, say)
        splits = [_stream(builder, split, image_key, label_key) for split in _find_splits(name, builder.info)]
    pixels = sum(split.count for split in splits) * math.prod(splits[0].image_shape)
    train, test = splits if pixels > memory_limit else map(_in_memory, splits)
    return ImageDataset(
        name=f"{builder.name}/{builder.builder_config.name}" if builder.builder_config else builder.name,
        source="tfds",
        train=train,
        test=test,
        class_names=tuple(builder.info.features[label_key].names) if train.has_labels else None,
        version=str(builder.version),
    )


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} names no data set; give auto, sample, idx:DIR or a TFDS name such as mnist")
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
        return tfds.builder(name, data_dir=folder)
    except DatasetNotFoundError:
        near = difflib.get_close_matches(name.lower(), tfds.list_builders(with_community_datasets=False))
        hint = f"did you mean {' or '.join(near)}?" if near else "the TFDS catalogue lists all names"
        where = f" and none is prepared in {folder}" if folder else ""
        raise InputError(f"{name}: TFDS has no data set of this name{where}; {hint}") from None
    except Exception as error:  # TFDS runs the data set's own code: anything may come
        detail = re.sub(r"^Failed to construct dataset .*?}\": | Here are .*$", "", one_line(error))
        raise InputError(f"{name}: TFDS cannot open it ({detail})") from error


def _find_features(name: str, features: Any) -> tuple[str, str | None]:
    """The keys of the image and, where there is one, of its class."""
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
    if None in shape:
        raise InputError(f"{name}: images vary in size {shape}; choose a data set whose images have one size")
    if shape[2] not in (1, 3) or dtype != np.uint8:
        raise InputError(f"{name}: images are {dtype} {shape}; they must be uint8 with 1 or 3 channels")
    classes = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    return image_key, "label" if "label" in classes else classes[0] if len(classes) == 1 else None


def _find_splits(name: str, info: Any) -> tuple[str, str]:
    test = next((split for split in ("test", "validation") if split in info.splits), None)
    if "train" not in info.splits or test is None:
        raise InputError(f"{name}: needs the splits train and test (or validation), has {', '.join(info.splits)}")
    return "train", test


def _stream(builder: Any, split_name: str, image_key: str, label_key: str | None) -> StreamSplit:
    info = builder.info
    if info.file_format.value != "tfrecord":
        raise InputError(
            f"{builder.name}: is prepared as {info.file_format.value}; prepare it as tfrecord, TFDS's default"
        )
    split = info.splits[split_name]
    if not split.num_examples:
        raise InputError(f"{builder.name}: split {split_name} holds no images")
    shape = info.features[image_key].shape
    # What TFDS writes for these features, read directly: its own decoding guesses each image's format anew and takes
    # three times as long.
    stored = {image_key: tf.io.FixedLenFeature((), tf.string)}
    if label_key is not None:
        stored[label_key] = tf.io.FixedLenFeature((), tf.int64)

    def decode(records: tf.Tensor) -> Any:
        examples = tf.io.parse_example(records, stored)
        # decode_png reads JPEG and GIF too.
        to_pixels = functools.partial(tf.io.decode_png, channels=shape[2])
        images = tf.map_fn(to_pixels, examples[image_key], fn_output_signature=tf.uint8)
        images = tf.ensure_shape(images, (None, *shape))
        return images if label_key is None else (images, tf.cast(examples[label_key], tf.int32))

    records_that_fit = _SHUFFLE_BYTES * split.num_examples // max(1, split.num_bytes)
    return StreamSplit(
        files=tuple(str(path) for path in split.filepaths),
        count=split.num_examples,
        image_shape=shape,
        has_labels=label_key is not None,
        decode=decode,
        shuffle_buffer=max(1, min(split.num_examples, records_that_fit)),
    )


def _in_memory(split: StreamSplit) -> ArraySplit:
    try:
        loaded = split.in_memory()
    except tf.errors.OpError as error:
        raise InputError(f"{split.files[0]}: cannot be read ({one_line(error)}); prepare the data set again") from error
    if loaded.labels is not None and loaded.labels.min() < 0:
        return ArraySplit(loaded.images)  # TFDS writes -1 where a split's labels are withheld
    return loaded


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Keeps TFDS's own warnings out of the terminal: what a user has to know is in our messages."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
