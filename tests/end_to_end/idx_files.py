"""Data sets in MNIST's own files, with as many images as a test needs."""

import gzip
import struct

from keras_vae.data import load_dataset

TRAIN, TEST = 400, 100


def write_split(folder, prefix, images, labels):
    """``{prefix}-images-idx3-ubyte.gz`` and its labels: uint8 (N, H, W) and (N,)."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images", images), ("labels", labels)):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content = gzip.compress(header + array.astype("uint8").tobytes())
        (folder / f"{prefix}-{kind}-idx{array.ndim}-ubyte.gz").write_bytes(content)


def write_digits(folder):
    """A fifth or less of the bundled digits, as many of each class: `TRAIN` and `TEST` images."""
    digits = load_dataset("sample")
    for prefix, split, count in (("train", digits.train, TRAIN), ("t10k", digits.test, TEST)):
        order = split.labels.argsort(kind="stable").reshape(10, -1)[:, : count // 10].ravel()
        write_split(folder, prefix, split.images[order][..., 0], split.labels[order])
