"""Reading gzipped TFRecord files, written by us or by others."""

import gzip
import json
import shutil

import numpy as np
import pytest
from tfrecord_files import GOOD, SHAPE, make_dataset, noise, png, read, write_records

from keras_vae.config import DataConfig
from keras_vae.data import (
    ArraySplit,
    StreamSplit,
    evaluation_batches,
    load_dataset,
    load_tfrecords,
    training_batches,
    write_tfrecords,
)
from keras_vae.errors import InputError


def test_training_and_evaluation_batches_come_from_compressed_streams(written):
    dataset, folder, _ = written
    streamed = read(folder, memory_limit=0)
    seen = np.concatenate([labels for _, labels in training_batches(streamed.train, 4, seed=1).take(5)])
    assert len(seen) == 20
    images = np.concatenate([images for images, _ in evaluation_batches(streamed.test, 4)])
    np.testing.assert_array_equal(images, dataset.test.images.astype(np.float32) / 255)


@pytest.mark.parametrize("memory_limit", [2 << 30, 0])
def test_files_without_a_description_are_counted_and_their_classes_numbered(tmp_path, memory_limit):
    images = noise(5).images
    for name, labels in (("a", [0, 3]), ("b", [1])):
        records = [{"image/encoded": png(images[label]), "label": label} for label in labels]
        write_records(tmp_path / f"train_{name}.gz", *records)
    write_records(tmp_path / "empty.gz")  # as Beam leaves them
    test = write_records(tmp_path / "test.gz", {"image/encoded": png(images[2], "jpeg"), "label": 2})

    files = [tmp_path / "empty.gz", tmp_path / "train_*"]
    dataset = load_tfrecords(files, [test], memory_limit=memory_limit)

    assert (dataset.name, dataset.train.count, dataset.test.count) == ("tfrecord", 3, 1)
    assert dataset.class_names == ("0", "1", "2", "3")
    np.testing.assert_array_equal(dataset.train.first(3)[0], images[[0, 3, 1]])
    assert dataset.test.first(1)[0].shape == (1, *SHAPE)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "holds no records"),
        ([{"image": b"", "height": 2}], "its records have height, image; expected image/encoded (PNG or JPEG"),
        ([{}], "its records have no features"),
        ([{**GOOD, "image/encoded": 3}], "expected image/encoded (PNG or JPEG bytes)"),
        ([{**GOOD, "image/encoded": b"pixels"}], "image/encoded is not an image"),
        ([b"\xff\xff\xff"], "its records are not tf.Examples"),
        ([{**GOOD, "image/encoded": png(np.zeros((4, 4, 4), np.uint8))}], "its images have 4 channels"),
        ([GOOD, b"\xff\xff\xff"], "has a record unlike the first one"),
        ([GOOD, {"label": 1}], "image/encoded (PNG or JPEG of (12, 12, 3)) and label (one int64)"),
        ([GOOD, {"image/encoded": GOOD["image/encoded"]}], "and label (one int64)"),
        ([GOOD, {**GOOD, "label": 1.5}], "and label (one int64)"),
        ([GOOD, {**GOOD, "image/encoded": b"pixels"}], "PNG or JPEG of (12, 12, 3)"),
        ([{**GOOD, "image/encoded": png(np.zeros((9, 9, 3), np.uint8))}, GOOD], "PNG or JPEG of (9, 9, 3)"),
        ([GOOD, {**GOOD, "label": -1}], "label below 0"),
        ([{**GOOD, "label": 1 << 40}], "label below 0 or above"),
    ],
)
def test_other_records_are_refused_with_the_file_and_what_is_expected(tmp_path, records, words):
    bad = write_records(tmp_path / "bad.gz", *records)
    with pytest.raises(InputError) as caught:
        load_tfrecords([bad], [bad])
    assert str(caught.value).startswith(f"{bad}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def damage(path, kind):
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut": data[: len(data) // 2],
            "flipped": data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0xFF]) + data[len(data) // 2 + 1 :],
            "not compressed": gzip.decompress(data),
            "text": b"no records at all",
        }[kind]
    )


@pytest.mark.parametrize(
    ("kind", "memory_limit", "is_described"),
    [("cut", 2 << 30, True), ("flipped", 0, True), ("not compressed", 2 << 30, False), ("text", 0, False)],
)
def test_a_damaged_file_is_named(tmp_path, kind, memory_limit, is_described):
    folder = tmp_path / "pets"
    write_tfrecords(make_dataset(), folder, shard_size=12)
    if not is_described:
        (folder / "dataset.json").unlink()
    bad = folder / "train" / "train-00001-of-00002.tfrecord.gz"
    damage(bad, kind)
    with pytest.raises(InputError, match="train-00001-of-00002") as caught:
        read(folder, memory_limit=memory_limit)
    assert "\n" not in str(caught.value)


def test_a_shard_with_fewer_images_than_described_is_named(written, tmp_path):
    folder = tmp_path / "pets"
    write_tfrecords(make_dataset(), folder)
    shard = write_records(folder / "test" / "test-00000-of-00001.tfrecord.gz", GOOD)
    with pytest.raises(InputError, match=rf"{shard.name}: holds 1 images, dataset.json says 9"):
        read(folder)


@pytest.mark.parametrize("changes", [{"shards": None}, {"shards": {"train": [{}]}}, {"class_names": 3}])
def test_a_damaged_description_is_named(written, tmp_path, changes):
    _, folder, description = written
    copy = tmp_path / "pets"
    shutil.copytree(folder, copy)
    (copy / "dataset.json").write_text(json.dumps({**description, **changes}))
    with pytest.raises(InputError, match=r"dataset.json: is damaged"):
        read(copy)


def test_missing_files_are_named(tmp_path):
    for patterns in ([tmp_path / "none-*"], [tmp_path / "none.gz"]):
        with pytest.raises(InputError, match=r"none.*no such file"):
            load_tfrecords(patterns, patterns)
    with pytest.raises(InputError, match="no TFRecord files are named"):
        load_tfrecords([], [])
    with pytest.raises(InputError, match="nowhere://bucket"):
        load_tfrecords(["nowhere://bucket/*"], [])


@pytest.mark.parametrize("memory_limit", [2 << 30, 0])
def test_a_folder_of_records_is_a_data_set_to_train_on(written, memory_limit):
    dataset, folder, _ = written
    found = load_dataset(DataConfig(dataset=f"tfrecord:{folder}", memory_limit=memory_limit))
    assert (found.name, found.train.count, found.test.count) == ("pets", 23, 9)
    assert isinstance(found.train, ArraySplit if memory_limit else StreamSplit)
    np.testing.assert_array_equal(found.test.first(9)[0], dataset.test.images)


def test_streamed_records_are_resized_as_those_in_memory_are(written):
    _, folder, _ = written
    found = [
        load_dataset(
            DataConfig(dataset=f"tfrecord:{folder}", memory_limit=limit, image_size=(20, 9), channels=1)
        ).test.first(9)
        for limit in (2 << 30, 0)
    ]
    assert found[0][0].shape == (9, 20, 9, 1)
    for in_memory, streamed in zip(*found, strict=True):
        np.testing.assert_array_equal(in_memory, streamed)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such directory; keras-vae to-tfrecord writes one"):
        load_dataset(f"tfrecord:{tmp_path}/none")
