"""TFDS data sets. Tiny ones are generated in a temporary folder, so that no network or data is needed."""

import contextlib
import dataclasses
import itertools
import tempfile
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_vae.config import DataConfig
from keras_vae.data import (
    ArraySplit,
    StreamSplit,
    evaluation_batches,
    load_dataset,
    steps_per_epoch,
    tfds_prepare,
    training_batches,
)
from keras_vae.data.framing import Framing
from keras_vae.data.tfds_source import find_prepared
from keras_vae.errors import InputError

COLOUR, GREY = (6, 5, 3), (6, 5, 1)


def images(count, shape=COLOUR):
    """Image i has the value i in its first pixel, the rest is noise."""
    pixels = np.random.default_rng(count).integers(0, 256, (count, *shape), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(count)
    return pixels


def store(
    data_dir,
    name="tiny_shapes",
    *,
    splits=None,
    shape=COLOUR,
    declared=None,
    labels=True,
    shards=1,
    label=None,
):
    """Prepare a TFDS data set in which image i has the label i % 3."""
    features = {"image": tfds.features.Image(shape=declared or shape)}
    if labels:
        features["label"] = tfds.features.ClassLabel(names=["circle", "square", "star"])

    def examples(count):
        data = {"image": images(count, shape)}
        if labels:
            data["label"] = np.arange(count) % 3 if label is None else np.full(count, label)
        return tf.data.Dataset.from_tensor_slices(data)

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="3.0.1",
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: examples(n) for split, n in (splits or {"train": 40, "test": 9}).items()},
        data_dir=data_dir,
        download_config=tfds.download.DownloadConfig(num_shards=shards),
    )
    return data_dir


def in_order(pixels):
    """Sort by the first pixel, which is the number of the image, because TFDS shuffles."""
    return pixels[np.argsort(pixels[:, 0, 0, 0])]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(url, timeout):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)


@pytest.fixture
def network(monkeypatch):
    """Every source seems to answer."""
    monkeypatch.setattr(tfds_prepare, "any_answers", lambda urls, seconds: True)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    return store(tmp_path_factory.mktemp("sharded"), shards=4)


@pytest.mark.parametrize("name", ["mnist", "tiny_shapes", "nothing_of_this_name"])
def test_looking_for_a_data_set_leaves_nothing_in_the_temporary_folder(tmp_path, monkeypatch, name):
    store(tmp_path / "data")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    with contextlib.suppress(InputError):
        find_prepared(name, tmp_path / "data")

    assert list((tmp_path / "temporary").iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path / "temporary")


@pytest.mark.parametrize("shape", [COLOUR, GREY])
def test_a_prepared_data_set_is_read_back_exactly(tmp_path, shape):
    store(tmp_path, shape=shape)

    dataset = load_dataset("tiny_shapes", tmp_path)

    np.testing.assert_array_equal(in_order(dataset.train.images), images(40, shape))
    np.testing.assert_array_equal(in_order(dataset.test.images), images(9, shape))
    np.testing.assert_array_equal(dataset.train.labels, dataset.train.images[:, 0, 0, 0] % 3)
    assert (dataset.name, dataset.source, dataset.version) == ("tiny_shapes", "tfds", "3.0.1")
    assert dataset.class_names == ("circle", "square", "star")
    assert dataset.image_shape == shape


def test_the_data_dir_comes_from_the_environment_when_none_is_given(sharded, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(sharded))
    assert load_dataset("tiny_shapes:3.0.1").train.count == 40


def test_a_data_set_without_labels_has_none(tmp_path):
    dataset = load_dataset("tiny_shapes", store(tmp_path, labels=False))
    assert dataset.train.labels is None
    assert dataset.class_names is None


def test_labels_that_are_withheld_are_none(tmp_path):
    dataset = load_dataset("tiny_shapes", store(tmp_path, label=-1))
    assert dataset.train.labels is None
    assert dataset.class_names is None


def test_what_is_done_meanwhile_sees_the_data_set_that_is_being_read(sharded):
    seen = []
    loaded = load_dataset("tiny_shapes", sharded, meanwhile=seen.append)
    (early,) = seen

    assert isinstance(early.train, StreamSplit)
    assert (early.name, early.image_shape, early.class_names) == (loaded.name, loaded.image_shape, loaded.class_names)
    assert (early.train.count, early.test.count) == (loaded.train.count, loaded.test.count)
    assert isinstance(loaded.train, ArraySplit)


def test_nothing_is_done_meanwhile_where_data_are_streamed(sharded):
    seen = []
    load_dataset("tiny_shapes", sharded, memory_limit=0, meanwhile=seen.append)
    assert seen == []


def test_validation_stands_in_for_a_missing_test_split(tmp_path):
    store(tmp_path, splits={"train": 12, "validation": 7})
    assert load_dataset("tiny_shapes", tmp_path).test.count == 7


def test_a_data_set_without_a_split_to_test_on_is_refused(tmp_path):
    store(tmp_path, splits={"train": 12})
    with pytest.raises(InputError, match="has no split test or validation, has train; name others with --train-split"):
        load_dataset("tiny_shapes", tmp_path)


def test_images_that_vary_in_size_are_refused(tmp_path):
    store(tmp_path, declared=(None, None, 3))
    with pytest.raises(InputError, match=r"tiny_shapes: images vary in size; choose .* --image-size"):
        load_dataset("tiny_shapes", tmp_path)


@pytest.mark.parametrize("memory_limit", [1 << 20, 0])
def test_images_that_vary_in_size_are_resized_to_one_that_is_given(tmp_path, memory_limit):
    store(tmp_path, declared=(None, None, 3))
    config = DataConfig(dataset="tiny_shapes", data_dir=str(tmp_path), image_size=(3, 4), memory_limit=memory_limit)
    dataset = load_dataset(config)
    assert dataset.image_shape == (3, 4, 3)
    found, labels = dataset.train.first(40)
    expected = Framing((3, 4, 3)).apply(images(40)).numpy()
    for image, label in zip(found, labels, strict=True):
        matches = np.flatnonzero((expected == image).all((1, 2, 3)))
        assert label in matches % 3


def test_colour_images_become_grey_where_one_channel_is_asked_for(sharded):
    config = DataConfig(dataset="tiny_shapes", data_dir=str(sharded), channels=1)
    assert load_dataset(config).image_shape == (6, 5, 1)


# Splits by TFDS's expressions.


@pytest.mark.parametrize("memory_limit", [1 << 20, 0])
def test_splits_can_be_parts_of_what_is_stored(sharded, memory_limit):
    config = DataConfig(
        dataset="tiny_shapes",
        data_dir=str(sharded),
        train_split="train[:75%]",
        test_split="train[75%:]",
        memory_limit=memory_limit,
    )
    dataset = load_dataset(config)
    train, test = (split.first(100)[0] for split in (dataset.train, dataset.test))
    assert (dataset.train.count, dataset.test.count) == (len(train), len(test)) == (30, 10)
    np.testing.assert_array_equal(in_order(np.concatenate([train, test])), images(40))


@pytest.mark.parametrize("split", ["train[:", "nonsense", "train[5:5]"])
def test_a_split_that_is_not_there_is_refused(sharded, split):
    config = DataConfig(dataset="tiny_shapes", data_dir=str(sharded), test_split=split)
    with pytest.raises(InputError, match=r"tiny_shapes: (has no split|split train\[5:5\] holds no images)"):
        load_dataset(config)


def test_images_with_an_alpha_channel_are_refused(tmp_path):
    store(tmp_path, shape=(6, 5, 4))
    with pytest.raises(InputError, match="must be uint8 with 1 or 3 channels"):
        load_dataset("tiny_shapes", tmp_path)


def test_a_data_set_of_text_is_refused_before_anything_is_downloaded(tmp_path, network):
    with pytest.raises(InputError, match="glue: has no images; its features are"):
        load_dataset("glue", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data + data])
def test_damaged_files_give_one_line_that_names_the_file(tmp_path, damage):
    store(tmp_path)
    file = next(tmp_path.rglob("tiny_shapes-train.tfrecord*"))
    file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(InputError, match=r"tiny_shapes-train\.tfrecord.*prepare") as caught:
        load_dataset("tiny_shapes", tmp_path)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json"])
@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_damaged_metadata_is_one_line_that_names_the_data_set(tmp_path, file, content):
    store(tmp_path)
    next(tmp_path.rglob(file)).write_text(content)
    with pytest.raises(InputError, match="tiny_shapes") as caught:
        load_dataset("tiny_shapes", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnst", "mnst: TFDS has no data set of this name.*did you mean mnist"),
        ("mnist:9.9.9", "only: 3.0.1"),
        ("mnist/nope", "BuilderConfig nope not found"),
        ("huggingface:mnist", "is not a data set"),
        ("", "is not a data set"),
        ("../mnist", "is not a data set"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_to_give(tmp_path, name, message):
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_data_dir_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="file: is not a directory"):
        load_dataset("mnist", file)


def test_a_named_data_set_that_cannot_be_fetched_is_an_error_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match=r"cifar10 is not prepared in .* www.cs.toronto.edu does not answer"):
        load_dataset("cifar10", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_auto_reads_mnist_where_it_is_prepared(tmp_path):
    store(tmp_path, "mnist", shape=(28, 28, 1))
    said = []

    dataset = load_dataset("auto", tmp_path, say=said.append)

    assert (dataset.name, dataset.source, dataset.train.count) == ("mnist", "tfds", 40)
    assert said == []


def test_auto_falls_back_to_the_sample_and_says_so_in_one_line(tmp_path):
    said = []

    dataset = load_dataset("auto", tmp_path, say=said.append)

    assert dataset.source == "sample"
    assert len(said) == 1
    for part in ("mnist is not prepared in", "sample", "--data-dir", "TFDS_DATA_DIR"):
        assert part in said[0]
    assert list(tmp_path.iterdir()) == []


def test_auto_does_not_hide_that_prepared_data_is_damaged(tmp_path):
    store(tmp_path, "mnist", shape=(28, 28, 1))
    next(tmp_path.rglob("mnist-train.tfrecord*")).write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"mnist-train\.tfrecord.*prepare"):
        load_dataset("auto", tmp_path)


def test_a_source_that_hangs_is_given_up_in_time(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: release.wait())
    assert not tfds_prepare.any_answers(["https://hangs.invalid"], seconds=0.05)
    release.set()


def test_one_source_that_answers_is_enough(monkeypatch, tmp_path):
    page = tmp_path / "page"
    page.touch()

    def open_only_files(url, timeout):
        if url.startswith("file:"):
            return page.open()
        raise urllib.error.URLError("refused")

    monkeypatch.setattr(urllib.request, "urlopen", open_only_files)
    assert tfds_prepare.any_answers(["https://refuses.invalid", page.as_uri()], seconds=5)
    assert not tfds_prepare.any_answers(["https://refuses.invalid"], seconds=5)


class GeneratedShapes(tfds.core.GeneratorBasedBuilder):
    """A data set that TFDS knows but has not prepared yet."""

    VERSION = tfds.core.Version("1.0.0")
    fails = False

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=COLOUR),
            "label": tfds.features.ClassLabel(num_classes=3),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        if self.fails:
            raise ConnectionError("the connection broke")
        return {"train": self._generate_examples(8), "test": self._generate_examples(4)}

    def _generate_examples(self, count):
        yield from ((i, {"image": image, "label": i % 3}) for i, image in enumerate(images(count)))


def test_a_data_set_that_is_not_prepared_is_prepared_once_with_a_line_that_says_so(tmp_path, network, capsys):
    said = []
    first = load_dataset("generated_shapes", tmp_path, say=said.append)
    again = load_dataset("generated_shapes", tmp_path, say=said.append)

    np.testing.assert_array_equal(in_order(first.train.images), images(8))
    assert again.describe() == first.describe()
    assert len(said) == 1
    assert said[0].startswith("downloading generated_shapes")
    assert capsys.readouterr().out == ""


def test_a_download_that_breaks_is_one_line_and_leaves_no_folders(tmp_path, network, monkeypatch):
    monkeypatch.setattr(GeneratedShapes, "fails", True)
    with pytest.raises(InputError, match=r"could not be prepared in .*ConnectionError: the connection broke"):
        load_dataset("generated_shapes", tmp_path)
    assert list(tmp_path.iterdir()) == []


# Streaming: the same files, read from disk in each epoch.


def test_data_beyond_the_memory_limit_is_streamed_and_equal_to_what_is_read_into_memory(sharded):
    pixels = 49 * np.prod(COLOUR)
    in_memory = load_dataset("tiny_shapes", sharded, memory_limit=pixels)
    streamed = load_dataset("tiny_shapes", sharded, memory_limit=pixels - 1)

    assert isinstance(in_memory.train, ArraySplit)
    assert isinstance(streamed.train, StreamSplit)
    assert streamed.image_shape == in_memory.image_shape
    assert streamed.train.count == in_memory.train.count
    assert streamed.describe()["sha256"] == {"train": None, "test": None}
    for ours, theirs in zip(streamed.train.first(13), in_memory.train.first(13), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    batches = zip(evaluation_batches(streamed.train, 16), evaluation_batches(in_memory.train, 16), strict=True)
    for (ours, our_labels), (theirs, their_labels) in batches:
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(our_labels, their_labels)


def stream_numbers(split, count, **options):
    """The numbers of the images in each batch, from their first pixel."""
    batches = training_batches(split, 6, seed=3, **options).take(count)
    return [np.rint(pixels[:, 0, 0, 0] * 255).astype(int).tolist() for pixels, _ in batches.as_numpy_iterator()]


@pytest.mark.parametrize("shuffle_buffer", [4, 40])
def test_a_streamed_epoch_shows_each_image_at_most_once_in_an_order_of_its_own(sharded, shuffle_buffer):
    split = load_dataset("tiny_shapes", sharded, memory_limit=0).train
    split = dataclasses.replace(split, shuffle_buffer=shuffle_buffer)
    steps = steps_per_epoch(split, 6)

    batches = stream_numbers(split, 2 * steps)

    for epoch in (batches[:steps], batches[steps:]):
        assert len(set(itertools.chain.from_iterable(epoch))) == steps * 6
    assert batches[:steps] != batches[steps:]


def test_the_streamed_order_does_not_depend_on_the_global_seed_and_a_seed_of_zero_will_do(sharded):
    split = load_dataset("tiny_shapes", sharded, memory_limit=0).train
    orders = []
    for seed in (0, 1):
        tf.random.set_seed(seed)
        orders.append(stream_numbers(split, steps_per_epoch(split, 6)))
    assert orders[0] == orders[1]


def test_streamed_batches_are_float_images_with_the_labels_of_their_images(sharded):
    split = load_dataset("tiny_shapes", sharded, memory_limit=0).train
    pixels, labels = next(training_batches(split, 6, seed=0).as_numpy_iterator())
    numbers = np.rint(pixels[:, 0, 0, 0] * 255).astype(int)
    np.testing.assert_array_equal(pixels, images(40)[numbers].astype(np.float32) / 255)
    np.testing.assert_array_equal(labels, numbers % 3)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("shuffle_buffer", [4, 40])
def test_a_streamed_run_that_is_resumed_sees_exactly_the_batches_of_an_unbroken_one(sharded, shuffle_buffer):
    split = load_dataset("tiny_shapes", sharded, memory_limit=0).train
    split = dataclasses.replace(split, shuffle_buffer=shuffle_buffer)
    steps = steps_per_epoch(split, 6)
    unbroken = stream_numbers(split, 4 * steps)
    assert stream_numbers(split, 2 * steps, first_epoch=1, first_step=2) == unbroken[steps + 2 : 3 * steps + 2]
