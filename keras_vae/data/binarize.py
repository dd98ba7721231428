"""Black-and-white images, drawn with each pixel's grey value as its probability of white.

Salakhutdinov & Murray 2008, "On the Quantitative Analysis of Deep Belief Networks", whose likelihoods of MNIST are of
such draws.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_vae.data.dataset import ArraySplit, ImageDataset, Split
from keras_vae.errors import InputError

# Images drawn at a time.
_CHUNK = 4096


def binarized(dataset: ImageDataset, seed: int = 0) -> ImageDataset:
    """One draw of every image of both splits, with ``grey_train`` for further draws in training.

    The draws depend on nothing but the images and ``seed``, so that all models are tested on the same ones.

    Raises:
        InputError: if a split is too large to be in memory.
    """
    return dataclasses.replace(
        dataset,
        train=_drawn(dataset.name, dataset.train, np.random.default_rng((seed, 0))),
        test=_drawn(dataset.name, dataset.test, np.random.default_rng((seed, 1))),
        grey_train=dataset.train,
    )


def _drawn(name: str, split: Split, rng: np.random.Generator) -> ArraySplit:
    if not isinstance(split, ArraySplit):
        raise InputError(f"{name}: is streamed from disk, but binarize needs images in memory; raise --memory-limit")
    drawn = np.empty_like(split.images)
    for start in range(0, split.count, _CHUNK):
        grey = split.images[start : start + _CHUNK]
        drawn[start : start + _CHUNK] = 255 * (rng.random(grey.shape, np.float32) < grey / np.float32(255))
    return ArraySplit(drawn, split.labels)


def draw(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A draw of a batch of grey images, float32 in [0, 1], of any shape; ``seed`` is int64 (2,)."""
    return tf.cast(tf.random.stateless_uniform(tf.shape(images), seed) < images, tf.float32)
