"""One function from what a user writes after ``--dataset`` to images."""

import os
import sys
from collections.abc import Callable

from keras_vae.data.dataset import ImageDataset
from keras_vae.data.idx import load_idx
from keras_vae.data.sample import load_sample
from keras_vae.data.tfds_prepare import SourceUnavailableError
from keras_vae.data.tfds_source import load_tfds
from keras_vae.errors import InputError


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def load_dataset(
    dataset: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    memory_limit: int = 2 << 30,
    say: Callable[[str], None] = _say,
) -> ImageDataset:
    """Finds and reads a data set.

    Args:
        dataset: ``auto`` (MNIST from TFDS when it is prepared or can be downloaded, else ``sample``);
            ``sample`` (5,000 real MNIST digits, no download); ``idx:DIR`` (MNIST's IDX files); or the name of
            a TFDS data set (``mnist``, ``cifar10``, ``mnist_corrupted/spatter:1.0.0``). What is asked for by
            name is never replaced.
        data_dir: where TFDS keeps its data. None is the environment's ``TFDS_DATA_DIR``, else TFDS's default.
        memory_limit: TFDS data of more bytes of pixels is streamed from disk, IDX files of more are refused.
        say: receives a line when there is something to know: a download, or what ``auto`` fell back to.

    Raises:
        InputError: when the data set is unknown, unavailable, corrupt or has no images of one known size.
    """
    if dataset == "auto":
        return _load_auto(data_dir, memory_limit, say)
    if dataset == "sample":
        return load_sample()
    if dataset.startswith("idx:"):
        if dataset == "idx:":
            raise InputError("idx: names no directory; give the directory of the IDX files as idx:DIR")
        return load_idx(dataset.removeprefix("idx:"), memory_limit)
    return load_tfds(dataset, data_dir, memory_limit, say)


def _load_auto(data_dir: str | os.PathLike[str] | None, memory_limit: int, say: Callable[[str], None]) -> ImageDataset:
    try:
        return load_tfds("mnist", data_dir, memory_limit, say)
    except SourceUnavailableError as error:
        say(
            f"{error.reason}: using the 5,000 MNIST digits of --dataset sample instead. For all 70,000, give "
            "--data-dir or TFDS_DATA_DIR where MNIST is prepared, or --dataset idx:DIR"
        )
        return load_sample()
