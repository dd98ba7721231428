"""Comparing data with those that a run recorded: class numbers stay, and other data are detected."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from tfrecord_files import make_dataset

from keras_vae.data import ArraySplit, ImageDataset, IndexedSplit, load_tfrecords, write_tfrecords
from keras_vae.data.folder import load_folder
from keras_vae.data.framing import Framing
from keras_vae.data.recorded import difference, numbered_as_recorded
from keras_vae.errors import InputError


def labelled(names, source="folder"):
    """Image i has the value of its class's place in the alphabet."""
    labels = np.arange(2 * len(names), dtype=np.int32) % len(names)
    images = np.array([[[[ord(names[label][0])]]] for label in labels], np.uint8)
    return ImageDataset("letters", source, ArraySplit(images, labels), ArraySplit(images, labels), tuple(names))


def name_of_each(dataset, split="train"):
    images, labels = getattr(dataset, split).first(100)
    return {(chr(image[0, 0, 0]), dataset.class_names[label]) for image, label in zip(images, labels, strict=True)}


@pytest.mark.parametrize("recorded", ["cba", "bac", "xcbay"])
def test_classes_get_the_numbers_that_were_recorded(recorded):
    again = numbered_as_recorded(labelled("abc"), {"class_names": list(recorded)})
    assert again.class_names == tuple(recorded)
    assert name_of_each(again) == name_of_each(again, "test") == {("a", "a"), ("b", "b"), ("c", "c")}


def test_images_on_disk_are_renumbered_too():
    dataset = labelled("abc")
    split = IndexedSplit(6, (1, 1, 1), dataset.train.read, dataset.train.labels, dataset.train.sha256())
    again = numbered_as_recorded(dataclasses.replace(dataset, train=split), {"class_names": ["c", "b", "a"]})
    assert name_of_each(again) == {("a", "a"), ("b", "b"), ("c", "c")}


def test_streamed_records_are_renumbered_too(tmp_path):
    dataset = make_dataset()
    write_tfrecords(dataset, tmp_path / "data")
    files = [[str(tmp_path / f"data/{split}/*")] for split in ("train", "test")]
    streamed = load_tfrecords(*files, memory_limit=0)
    names = dataset.class_names[::-1]

    again = numbered_as_recorded(streamed, {"class_names": list(names)})

    _, labels = streamed.train.first(50)
    _, found = again.train.first(50)
    assert again.class_names == names
    assert [names[label] for label in found] == [dataset.class_names[label] for label in labels]


def test_withheld_labels_stay_withheld():
    dataset = labelled("ab")
    hidden = dataclasses.replace(dataset.test, labels=np.full(4, -1, np.int32))
    again = numbered_as_recorded(dataclasses.replace(dataset, test=hidden), {"class_names": ["b", "a"]})
    assert set(again.test.labels) == {-1}


def test_a_folder_from_before_names_were_recorded_keeps_its_numbers(tmp_path):
    """Folders 1 to 12 were numbered 1, 10, 11, 12, 2 … then."""
    names = [str(number) for number in range(1, 13)]
    for name in names:
        for index in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (2, 2), int(name)).save(tmp_path / name / f"{index}.png")
    found = load_folder(tmp_path, Framing((2, 2, 1)), say=lambda line: None)

    again = numbered_as_recorded(found, {"source": "folder", "num_classes": 12})

    assert found.class_names == tuple(names)
    assert again.class_names == tuple(sorted(names))
    images, labels = again.train.first(100)
    assert [again.class_names[label] for label in labels] == [str(image[0, 0, 0]) for image in images]


def test_numbers_that_cannot_be_known_are_not_guessed():
    names = tuple(str(number) for number in range(1, 12))
    with pytest.raises(InputError, match="has 11 classes where the run had 12 and did not record their names"):
        numbered_as_recorded(labelled(names), {"source": "folder", "num_classes": 12})
    dataset = labelled("abc")
    assert numbered_as_recorded(dataset, {"source": "folder", "num_classes": 4}) is dataset


def test_numbers_for_names_fit_any_names():
    dataset = labelled("abc")
    assert numbered_as_recorded(dataset, {"class_names": ["0", "1", "2"]}) is dataset


def test_other_classes_are_refused():
    with pytest.raises(InputError, match="letters: has the classes a, b, and the model was trained on a, c; name"):
        numbered_as_recorded(labelled("ab"), {"class_names": ["a", "c"]})


def test_the_same_data_differ_in_nothing_whether_or_not_names_were_recorded():
    described = labelled("ab").describe()
    before = {key: value for key, value in described.items() if key != "class_names"}
    assert difference(described, described) is None
    assert difference(described, before) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"train": 9, "test": 4}}, "counts is train 4, test 4, and was train 9, test 4"),
        ({"class_names": ["b", "a"]}, "class_names is a, b, and was b, a"),
        ({"name": "digits"}, "name is letters, and was digits"),
    ],
)
def test_other_data_are_told_apart_in_words(changes, message):
    described = labelled("ab").describe()
    assert difference(described, described | changes) == message


def test_a_run_that_recorded_nothing_is_not_gone_on_with():
    assert difference(labelled("ab").describe(), None) == "the run recorded nothing of its data"
