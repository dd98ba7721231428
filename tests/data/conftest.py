"""A data set in TFRecord files, shared by the tests in this folder."""

import pytest
from tfrecord_files import make_dataset

from keras_vae.data import write_tfrecords


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A data set and its folder. Tests that change the folder copy it first."""
    folder = tmp_path_factory.mktemp("data") / "pets"
    dataset = make_dataset()
    return dataset, folder, write_tfrecords(dataset, folder, shard_size=8)
