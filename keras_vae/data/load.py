"""Loading the data set that ``--dataset`` names."""

import dataclasses
import glob
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from keras_vae.config import DataConfig
from keras_vae.data.binarize import binarized
from keras_vae.data.dataset import ArraySplit, ImageDataset, Split, StreamSplit
from keras_vae.data.file_list import Splitting
from keras_vae.data.folder import load_folder
from keras_vae.data.framing import Framing
from keras_vae.data.idx import load_idx
from keras_vae.data.sample import load_sample
from keras_vae.data.squares import Crop
from keras_vae.data.tfds_prepare import SourceUnavailableError
from keras_vae.data.tfds_source import load_tfds
from keras_vae.data.tfrecord_source import load_tfrecords
from keras_vae.errors import InputError

_FOLDER, _IDX, _TFRECORD = "folder:", "idx:", "tfrecord:"
# Images resized at a time.
_CHUNK = 1024

Meanwhile: TypeAlias = Callable[[ImageDataset], None] | None


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def load_dataset(
    dataset: str | DataConfig = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    memory_limit: int = 2 << 30,
    say: Callable[[str], None] = _say,
    meanwhile: Meanwhile = None,
) -> ImageDataset:
    """Find and read a data set.

    Args:
        dataset: ``auto`` (MNIST from TFDS if it is prepared or can be downloaded, else ``sample``); ``sample`` (5,000
            real MNIST digits, no download); ``idx:DIR`` (MNIST's IDX files); ``folder:DIR`` (image files);
            ``tfrecord:DIR`` (written by `write_tfrecords`, or any ``DIR/train/*`` and ``DIR/test/*`` of that kind); or
            the name of a TFDS data set (``mnist``, ``cifar10``, ``mnist_corrupted/spatter:1.0.0``). A data set given by
            name is never replaced by another. A `DataConfig` has more settings. ``folder:DIR`` needs its
            ``image_size`` or ``crop``.
        data_dir: TFDS's data directory. None means the environment's ``TFDS_DATA_DIR``, else TFDS's default. Like
            ``memory_limit``, it is ignored if ``dataset`` is a `DataConfig`.
        memory_limit: data with more bytes of pixels are streamed from disk; IDX files with more are refused.
        say: receives lines about downloads, the fallback of ``auto``, and files that are left out.
        meanwhile: called while a TFDS data set is read into memory, with the same data set on disk, so that a model can
            be built of its shapes; not called for other data. Labels may still turn out to be withheld.

    Raises:
        InputError: when the data set is unknown, unavailable or corrupt, or its images vary in size and none is set.
    """
    if isinstance(dataset, DataConfig):
        config = dataset
    else:
        folder = None if data_dir is None else os.fspath(data_dir)
        config = DataConfig(dataset=dataset, data_dir=folder, memory_limit=int(memory_limit))
    found = _load(config, say, meanwhile)
    return found if config.binarize == "none" else binarized(found)


def _load(config: DataConfig, say: Callable[[str], None], meanwhile: Meanwhile) -> ImageDataset:
    if config.dataset == "auto":
        return _load_auto(config, say, meanwhile)
    if config.dataset == "sample":
        return _framed(load_sample(), config)
    if config.dataset.startswith(_IDX):
        return _framed(load_idx(_directory(config, _IDX), config.memory_limit), config)
    if config.dataset.startswith(_FOLDER):
        return load_folder(
            _directory(config, _FOLDER),
            _framing(config, (config.crop, config.crop, 3)),
            crop=None if config.crop is None else Crop(config.crop, config.crop_scale),
            splitting=Splitting(config.test_fraction, config.split_seed),
            memory_limit=config.memory_limit,
            cache_dir=config.cache_dir,
            strict=config.strict,
            say=say,
        )
    if config.dataset.startswith(_TFRECORD):
        return _framed(_load_tfrecord_folder(config), config)
    return _load_tfds(config, config.dataset, say, meanwhile)


def _load_auto(config: DataConfig, say: Callable[[str], None], meanwhile: Meanwhile) -> ImageDataset:
    try:
        return _load_tfds(config, "mnist", say, meanwhile)
    except SourceUnavailableError as error:
        say(
            f"{error.reason}: using the 5,000 MNIST digits of --dataset sample instead. For all 70,000, give "
            "--data-dir or TFDS_DATA_DIR where MNIST is prepared, or --dataset idx:DIR"
        )
        return _framed(load_sample(), config)


def _load_tfds(config: DataConfig, name: str, say: Callable[[str], None], meanwhile: Meanwhile) -> ImageDataset:
    return load_tfds(
        name,
        config.data_dir,
        config.memory_limit,
        say,
        framing_of=lambda shape: _framing(config, shape),
        train_split=config.train_split,
        test_split=config.test_split,
        meanwhile=meanwhile,
    )


def _load_tfrecord_folder(config: DataConfig) -> ImageDataset:
    folder = Path(_directory(config, _TFRECORD)).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory; keras-vae to-tfrecord writes one")
    train, test = ([glob.escape(str(folder)) + f"/{split}/*"] for split in ("train", "test"))
    return load_tfrecords(train, test, memory_limit=config.memory_limit)


def _directory(config: DataConfig, prefix: str) -> str:
    directory = config.dataset.removeprefix(prefix)
    if not directory:
        raise InputError(f"{prefix} needs a directory; give the directory of the files as {prefix}DIR")
    return directory


def _framing(config: DataConfig, shape: tuple[int | None, int | None, int]) -> Framing:
    """The framing of images of ``shape``, in which None stands for a side that varies.

    Raises:
        InputError: when the size varies and none is set.
    """
    height, width = config.image_size or shape[:2]
    if height is None or width is None:
        raise InputError(f"{config.dataset}: images vary in size; choose the size to resize them to with --image-size")
    return Framing((height, width, config.channels or shape[2]), config.fit, config.max_pixels, config.bit_depth)


def _framed(dataset: ImageDataset, config: DataConfig) -> ImageDataset:
    """The same images, converted to the size and channels that are set."""
    framing = _framing(config, dataset.image_shape)
    if framing.shape == dataset.image_shape:
        return dataset

    def framed(split: Split) -> Split:
        if isinstance(split, StreamSplit):
            return _framed_stream(split, framing)
        images, labels = split.first(split.count)
        parts = [framing.apply(images[start : start + _CHUNK]).numpy() for start in range(0, len(images), _CHUNK)]
        return ArraySplit(np.concatenate(parts), labels)

    return dataclasses.replace(dataset, train=framed(dataset.train), test=framed(dataset.test))


def _framed_stream(split: StreamSplit, framing: Framing) -> StreamSplit:
    """The same records, whose images are resized after decoding."""

    def decode(records: tf.Tensor) -> Any:
        decoded = split.decode(records)
        return (framing.apply(decoded[0]), decoded[1]) if split.has_labels else framing.apply(decoded)

    return dataclasses.replace(split, image_shape=framing.shape, decode=decode)
