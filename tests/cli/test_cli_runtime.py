"""The settings of a model's data when a command is given other data."""

import pytest

from keras_vae.config import DataConfig
from keras_vae_cli.runtime import with_dataset

SQUARES = DataConfig(dataset="folder:photos", crop=32, crop_scale=1.5, channels=3)


def test_another_folder_is_cut_into_the_same_squares():
    assert with_dataset(SQUARES, "folder:others") == SQUARES.replace(dataset="folder:others")


@pytest.mark.parametrize("dataset", ["sample", "cifar10", "idx:mnist"])
def test_data_without_image_files_are_not_cut(dataset):
    assert with_dataset(SQUARES, dataset) == DataConfig(dataset=dataset, channels=3)


def test_splits_of_one_data_set_are_not_those_of_another():
    data = DataConfig(dataset="mnist", train_split="train[:90%]", test_split="train[90%:]")
    assert with_dataset(data, "cifar10") == DataConfig(dataset="cifar10")
