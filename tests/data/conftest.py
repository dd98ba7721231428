"""A data set in TFRecord files that the tests of this folder share."""

import pytest
from tfrecord_files import make_dataset

from keras_vae.data import write_tfrecords


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A data set in a folder; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("data") / "pets"
    dataset = make_dataset()
    return dataset, folder, write_tfrecords(dataset, folder, shard_size=8)
