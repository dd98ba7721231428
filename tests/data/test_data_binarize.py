"""Binarised images: what is drawn once for evaluation, and anew for training."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.config import DataConfig
from keras_vae.data import ArraySplit, ImageDataset, StreamSplit, build_augmentation, load_dataset, training_batches
from keras_vae.data.binarize import binarized
from keras_vae.errors import InputError

GREY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


@pytest.fixture(scope="module")
def dataset():
    split = ArraySplit(np.repeat(GREY, 5000, axis=0), np.arange(5000, dtype=np.int32))
    return ImageDataset("greys", "test", split, split)


@pytest.fixture(scope="module")
def drawn(dataset):
    return binarized(dataset)


def test_a_pixel_is_white_as_often_as_its_value_says(drawn):
    for split in (drawn.train, drawn.test):
        assert set(np.unique(split.images)) == {0, 255}
        shares = (split.images == 255).mean(axis=0).ravel()
        # Five standard errors of 5,000 draws.
        np.testing.assert_allclose(shares, GREY.ravel() / 255, atol=5 * 0.5 / np.sqrt(5000))


def test_the_draws_of_evaluation_are_always_the_same_and_differ_between_splits(dataset, drawn):
    again = binarized(dataset)
    np.testing.assert_array_equal(again.test.images, drawn.test.images)
    np.testing.assert_array_equal(again.train.images, drawn.train.images)
    assert not np.array_equal(drawn.train.images, drawn.test.images)
    np.testing.assert_array_equal(drawn.test.labels, dataset.test.labels)


def test_training_draws_anew_in_every_epoch_and_the_same_after_a_restart(dataset):
    split = ArraySplit(dataset.train.images[:8])
    augment = build_augmentation((), (16, 16, 1), 3, binarize=True)

    def batches(**start):
        return list(training_batches(split, 8, seed=0, augment=augment, **start).take(2).as_numpy_iterator())

    first, second = batches()
    assert set(np.unique(first)) == {0.0, 1.0}
    # All images are alike, so that the order of an epoch does not matter.
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(batches(first_epoch=1)[0], second)


def test_a_setting_binarises_what_is_loaded():
    grey, drawn = (load_dataset(DataConfig(dataset="sample", binarize=binarize)) for binarize in ("none", "dynamic"))
    assert grey.grey_train is None
    np.testing.assert_array_equal(drawn.grey_train.images, grey.train.images)
    assert set(np.unique(drawn.test.images)) == {0, 255}
    assert drawn.describe()["sha256"] != grey.describe()["sha256"]


def test_images_that_are_streamed_are_refused(dataset):
    stream = StreamSplit((), 1, (16, 16, 1), False, tf.identity, 1)
    with pytest.raises(InputError, match="greys: is streamed from disk, but binarize needs images in memory"):
        binarized(ImageDataset("greys", "test", stream, dataset.test))
