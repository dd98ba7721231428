"""Fixtures for the tests of batch jobs."""

import pytest
from jobs import CLASSES, make_dataset, publish

from keras_vae.data import write_tfrecords


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Folder of a published model; tests do not change it."""
    return publish(tmp_path_factory.mktemp("noise") / "7")


@pytest.fixture(scope="session")
def conditional_model(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("conditional") / "7", num_classes=CLASSES)


@pytest.fixture(scope="session")
def dataset():
    return make_dataset()


@pytest.fixture(scope="session")
def records(dataset, tmp_path_factory):
    """Folder of the data set's TFRecords, with three files for the test split; tests do not change it."""
    folder = tmp_path_factory.mktemp("data") / "noise"
    write_tfrecords(dataset, folder, shard_size=15)
    return folder
