"""Images that can be read by number: the normal ones of ``keras-vae score``, and those to score or to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError

from .runtime import read_pixels

if TYPE_CHECKING:
    from keras_vae.config import DataConfig
    from keras_vae.data import ArraySplit, ImageDataset, IndexedSplit, Split
    from keras_vae.models import VAE

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]
# Normal images to learn from, and values of all their pixels: 0.5 GB as floats.
MOST_IMAGES, MOST_VALUES = 10_000, 1 << 27
AT_A_TIME = 1024


@dataclass(frozen=True)
class ScoredImages:
    """Images to score.

    Args:
        names: the file of each image, or its number.
        read: reads the images with these numbers, uint8 (N, H, W, C).
        labels: the class of each, int32 (N,), or None.
        class_names: the name of each class, or None.
        is_normal: whether each image is normal, bool (N,), or None if that is not known.
        calibrates: whether normal images are the held-out ones that scores compare with.
    """

    names: Sequence[str]
    read: Callable[[npt.NDArray[np.int64]], UInt8]
    labels: Int32 | None = None
    class_names: tuple[str, ...] | None = None
    is_normal: npt.NDArray[np.bool_] | None = None
    calibrates: bool = False

    def parts(self) -> Iterator[tuple[UInt8, Int32 | None]]:
        """Images and labels, some at a time."""
        for start in range(0, len(self.names), AT_A_TIME):
            rows = np.arange(start, min(start + AT_A_TIME, len(self.names)))
            yield self.read(rows), None if self.labels is None else self.labels[rows]

    @property
    def own_halves(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The rows of normal images in two halves, of which each is compared with the other."""
        own = np.arange(len(self.names)) if self.is_normal is None else np.flatnonzero(self.is_normal)
        return own[::2], own[1::2]

    def label(self, row: int) -> str:
        """The name or number of the class of an image; empty without classes."""
        if self.labels is None or self.labels[row] < 0:
            return ""
        number = int(self.labels[row])
        return str(number) if self.class_names is None else self.class_names[number]


def normal_images(normal: ImageDataset) -> tuple[tuple[UInt8, Int32 | None], tuple[UInt8, Int32 | None]]:
    """Images and labels to learn from, and others that training has not seen, each at most `MOST_IMAGES`.

    Raises:
        InputError: if no test image is normal.
    """
    train, test = normal.train, by_number(normal.test)
    is_normal = _is_normal(normal, test)
    if not is_normal.any():
        raise InputError(f"{normal.name}: has no normal test images, which scores are compared with")
    return _spread(by_number(train), np.arange(train.count)), _spread(test, np.flatnonzero(is_normal))


def test_images(dataset: ImageDataset, normal: ImageDataset) -> ScoredImages:
    """The test images of ``dataset``, which are normal if training on ``normal`` has their class."""
    test = by_number(dataset.test)
    is_own = dataset is normal
    known = is_own or (dataset.class_names is not None and dataset.class_names == normal.class_names)
    return ScoredImages(
        names=names_of(test),
        read=test.read,
        labels=test.labels,
        class_names=dataset.class_names,
        is_normal=_is_normal(normal, test) if known else None,
        calibrates=is_own,
    )


def of_anomalies(dataset: ImageDataset) -> ScoredImages:
    """The test images of a data set of anomalies."""
    test = by_number(dataset.test)
    return ScoredImages(names_of(test), test.read, test.labels, dataset.class_names, np.zeros(test.count, bool))


def files(paths: Sequence[Path], vae: VAE, config: DataConfig | None, number: int | None) -> ScoredImages:
    """Image files, fitted to the model as in training, all of class ``number``."""
    pixels = np.stack([read_pixels(path, vae.image_shape, config) for path in paths])
    labels = None if number is None else np.full(len(paths), number, np.int32)
    return ScoredImages([str(path) for path in paths], lambda rows: pixels[rows], labels)


def by_number(split: Split) -> ArraySplit | IndexedSplit:
    """The split, with images that can be read by number; those of a stream are taken into memory."""
    from keras_vae.data import StreamSplit  # deferred: it imports TensorFlow

    return split.in_memory() if isinstance(split, StreamSplit) else split


def _is_normal(normal: ImageDataset, test: ArraySplit | IndexedSplit) -> npt.NDArray[np.bool_]:
    """Whether training has the class of each test image. Without classes all are normal."""
    trained = normal.class_counts
    if test.labels is None or trained is None or not any(trained):
        return np.ones(test.count, bool)
    return np.isin(test.labels, np.flatnonzero(trained))


def _spread(split: ArraySplit | IndexedSplit, rows: npt.NDArray[np.int64]) -> tuple[UInt8, Int32 | None]:
    """As many of the ``rows`` as are used, from all over the split."""
    most = min(MOST_IMAGES, max(2, MOST_VALUES // int(np.prod(split.image_shape))))
    chosen = rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    return split.read(chosen), None if split.labels is None else split.labels[chosen]


def names_of(split: ArraySplit | IndexedSplit) -> list[str]:
    """The file of each image, or its number."""
    return [str(row) for row in range(split.count)] if split.paths is None else [str(path) for path in split.paths]
