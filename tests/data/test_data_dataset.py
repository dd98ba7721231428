"""Splits in memory and the description of a data set."""

import hashlib
import json

import numpy as np
import pytest

from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError


def split(count=6, shape=(4, 5, 3), labels=True):
    images = np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)
    return ArraySplit(images, np.arange(count, dtype=np.int32) if labels else None)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), None),
        (np.zeros((2, 4, 4), np.uint8), None),
        (np.zeros((2, 4, 4, 2), np.uint8), None),
        (np.zeros((0, 4, 4, 1), np.uint8), None),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int32)),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64)),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(images, labels):
    with pytest.raises(InputError, match="must be"):
        ArraySplit(images, labels)


def test_first_gives_at_most_the_images_that_there_are():
    images, labels = split().first(4)
    assert images.shape == (4, 4, 5, 3)
    assert labels.tolist() == [0, 1, 2, 3]
    assert len(split().first(100)[0]) == 6
    assert split(labels=False).first(2)[1] is None


def test_describe_is_json_with_counts_and_the_hash_of_the_pixels():
    train, test = split(6), split(3)
    dataset = ImageDataset("shapes", "idx", train, test, class_names=("a", "b"))

    description = json.loads(json.dumps(dataset.describe()))

    assert description == {
        "name": "shapes",
        "source": "idx",
        "version": None,
        "image_shape": [4, 5, 3],
        "num_classes": 2,
        "class_names": ["a", "b"],
        "counts": {"train": 6, "test": 3},
        "sha256": {
            "train": train.sha256(),
            "test": test.sha256(),
        },
    }


def test_the_hash_is_that_of_the_sorted_hashes_of_the_images():
    images = split().images
    digests = sorted(hashlib.sha256(image.tobytes()).digest() for image in images)
    assert ArraySplit(images).sha256() == hashlib.sha256(b"".join(digests)).hexdigest()


def test_the_hash_is_of_the_pixels_whatever_their_order_and_layout_in_memory():
    images = split().images
    assert ArraySplit(np.asfortranarray(images)).sha256() == ArraySplit(images).sha256()
    assert ArraySplit(images[::-1]).sha256() == ArraySplit(images).sha256()
    assert ArraySplit(images[1:]).sha256() != ArraySplit(images).sha256()


def test_splits_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="both splits need one shape"):
        ImageDataset("shapes", "idx", split(), split(shape=(4, 4, 3)))


def test_training_images_are_counted_by_class():
    images = np.zeros((4, 2, 2, 1), np.uint8)
    train = ArraySplit(images, np.array([0, 2, 2, -1], np.int32))
    dataset = ImageDataset("shapes", "idx", train, train, class_names=("a", "b", "c"))
    assert dataset.class_counts == [1, 0, 2]
    assert ImageDataset("shapes", "idx", ArraySplit(images), ArraySplit(images)).class_counts is None
