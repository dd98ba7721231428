"""Data sets written as gzipped TFRecord files, and read back."""

import hashlib
import io
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfrecord_files import CLASSES, SHAPE, make_dataset, read

from keras_vae.data import ArraySplit, ImageDataset, StreamSplit, tfrecord, write_tfrecords
from keras_vae.errors import InputError


@pytest.mark.parametrize("memory_limit", [2 << 30, 0])
def test_pixels_and_labels_come_back_as_they_were(written, memory_limit):
    dataset, folder, _ = written
    again = read(folder, memory_limit=memory_limit)

    assert isinstance(again.train, ArraySplit if memory_limit else StreamSplit)
    for before, after in ((dataset.train, again.train), (dataset.test, again.test)):
        images, labels = after.first(after.count)
        np.testing.assert_array_equal(images, before.images)
        np.testing.assert_array_equal(labels, before.labels)
    assert (again.name, again.source, again.version, again.class_names) == ("pets", "tfrecord", "1.2", CLASSES)


def test_images_without_labels_come_back_without_labels(tmp_path):
    dataset = make_dataset(labels=False, shape=(5, 4, 1))
    write_tfrecords(dataset, tmp_path / "grey")
    again = read(tmp_path / "grey")
    np.testing.assert_array_equal(again.test.images, dataset.test.images)
    assert not again.train.has_labels
    assert again.class_names is None


def test_the_description_has_counts_classes_and_hashes(written):
    dataset, folder, returned = written
    description = json.loads((folder / "dataset.json").read_text())
    assert description == json.loads(json.dumps(returned))
    assert {key: description[key] for key in dataset.describe()} == dataset.describe()
    assert description["class_names"] == list(CLASSES)
    shards = description["shards"]["train"] + description["shards"]["test"]
    assert [shard["images"] for shard in shards] == [7, 8, 8, 4, 5]
    for shard in shards:
        assert hashlib.sha256((folder / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]


def test_the_folder_holds_nothing_but_shards_and_the_description(written):
    _, folder, _ = written
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == [
        "dataset.json",
        *(f"test/test-0000{index}-of-00002.tfrecord.gz" for index in range(2)),
        *(f"train/train-0000{index}-of-00003.tfrecord.gz" for index in range(3)),
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["pets"]


def test_records_are_tf_examples_with_a_png_and_a_label(written):
    dataset, folder, _ = written
    path = str(folder / "train" / "train-00000-of-00003.tfrecord.gz")
    record = next(tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator())
    feature = tf.train.Example.FromString(record).features.feature
    assert set(feature) == {"image/encoded", "label"}
    with Image.open(io.BytesIO(feature["image/encoded"].bytes_list.value[0])) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), dataset.train.images[0])
    assert list(feature["label"].int64_list.value) == [0]


def test_the_same_images_give_the_same_bytes_also_when_they_are_streamed(written, tmp_path):
    _, folder, description = written
    streamed = read(folder, memory_limit=0)
    copy = write_tfrecords(streamed, tmp_path / "copy", shard_size=8)
    assert copy["shards"] == description["shards"]
    assert copy["sha256"] == description["sha256"]


def test_the_gzip_header_holds_no_time(written):
    _, folder, _ = written
    for path in folder.glob("*/*.gz"):
        assert path.read_bytes()[4:8] == bytes(4)


def test_progress_counts_every_image(tmp_path):
    done = []
    write_tfrecords(make_dataset(), tmp_path / "pets", progress=done.append)
    assert sum(done) == 23 + 9


def test_withheld_labels_are_left_out(tmp_path):
    write_tfrecords(make_dataset(), tmp_path / "pets")
    streamed = read(tmp_path / "pets", memory_limit=0)
    withheld = StreamSplit(
        streamed.test.shards,
        streamed.test.count,
        SHAPE,
        True,
        lambda records: (lambda images, labels: (images, -tf.ones_like(labels)))(*streamed.test.decode(records)),
        8,
        "GZIP",
    )
    write_tfrecords(ImageDataset("pets", "tfds", streamed.train, withheld, CLASSES), tmp_path / "again")
    again = read(tmp_path / "again")
    assert again.train.has_labels
    assert not again.test.has_labels


def test_a_stream_that_holds_other_than_announced_is_refused_and_leaves_nothing(written, tmp_path):
    _, folder, _ = written
    split = read(folder, memory_limit=0).train
    for count in (22, 24):
        wrong = StreamSplit(split.shards, count, SHAPE, True, split.decode, 8, "GZIP")
        with pytest.raises(InputError, match=f"holds 23 images of the {count} announced"):
            write_tfrecords(ImageDataset("pets", "tfds", wrong, wrong), tmp_path / "pets")
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_is_replaced_only_when_asked_to(tmp_path):
    folder = tmp_path / "pets"
    write_tfrecords(make_dataset(), folder)
    with pytest.raises(InputError, match="holds a data set already; replace it with --overwrite"):
        write_tfrecords(make_dataset(labels=False), folder)
    assert read(folder).train.has_labels
    write_tfrecords(make_dataset(labels=False), folder, overwrite=True)
    assert not read(folder).train.has_labels
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_the_old_data_set_stays_when_the_new_one_cannot_be_written(tmp_path):
    folder = tmp_path / "pets"
    write_tfrecords(make_dataset(), folder)

    def interrupt(images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tfrecords(make_dataset(labels=False), folder, overwrite=True, progress=interrupt)
    assert read(folder).train.has_labels
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


@pytest.mark.parametrize("name", ["thesis.txt", "dataset.json", "train"])
def test_a_folder_of_something_else_is_never_replaced(name, tmp_path):
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="something other than a data set of ours"):
        write_tfrecords(make_dataset(), tmp_path, overwrite=True)
    assert (tmp_path / name).read_text() == "{}"


def test_notes_beside_the_shards_are_not_deleted(written, tmp_path):
    write_tfrecords(make_dataset(), tmp_path / "pets")
    (tmp_path / "pets" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something other than a data set of ours"):
        write_tfrecords(make_dataset(), tmp_path / "pets", overwrite=True)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="exists and is not a folder"):
        write_tfrecords(make_dataset(), tmp_path / "file")
    with pytest.raises(InputError, match="is not a writable directory"):
        write_tfrecords(make_dataset(), tmp_path / "file" / "pets")


def test_a_shard_of_no_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="shard-size must be at least 1, got 0"):
        write_tfrecords(make_dataset(), tmp_path / "pets", shard_size=0)


def test_a_stream_is_written_a_few_images_at_a_time(written, tmp_path, monkeypatch):
    _, folder, _ = written
    streamed = read(folder, memory_limit=0)
    sizes = []
    monkeypatch.setattr(tfrecord, "_BATCH_BYTES", 4 * math.prod(SHAPE))
    write_tfrecords(streamed, tmp_path / "copy", progress=sizes.append)
    assert sizes == [4, 4, 4, 4, 4, 3, 4, 4, 1]
