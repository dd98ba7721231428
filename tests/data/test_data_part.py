"""Parts of batches: every image of a batch is in exactly one part, in training and in evaluation."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.data import (
    ArraySplit,
    ImageDataset,
    Part,
    StreamSplit,
    evaluation_batches,
    training_batches,
    write_tfrecords,
)
from keras_vae.data.tfrecord_source import load_tfrecords
from keras_vae.errors import InputError

# (workers, replicas of each, images of a part)
CREWS = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4))


def numbered(count):
    """Images and labels whose values are their numbers."""
    images = np.broadcast_to(np.arange(count, dtype="uint8")[:, None, None, None], (count, 2, 2, 1))
    return ArraySplit(images, np.arange(count, dtype="int32"))


def parts_of(workers, replicas):
    """The parts of each worker."""
    count = workers * replicas
    return [Part(tuple(range(first, first + replicas)), count) for first in range(0, count, replicas)]


def taken(batches, count):
    return [batch[1].numpy() for batch in batches.take(count)]


@settings(max_examples=15)
@given(crew=CREWS, seed=st.integers(0, 3))
def test_the_parts_of_a_training_batch_are_the_batch_and_do_not_overlap(crew, seed):
    workers, replicas, own = crew
    count = workers * replicas
    split, size = numbered(60), count * own
    steps = 60 // size + 1  # into the second epoch
    whole = taken(training_batches(split, size, seed=seed), steps)

    read = [
        taken(training_batches(split, size, seed=seed, part=part), steps * replicas)
        for part in parts_of(workers, replicas)
    ]

    for step, batch in enumerate(whole):
        dealt = [labels for worker in read for labels in worker[step * replicas : (step + 1) * replicas]]
        for number, labels in enumerate(dealt):
            np.testing.assert_array_equal(labels, batch[number::count])


@settings(max_examples=15)
@given(crew=CREWS, images=st.integers(1, 30))
def test_every_image_is_evaluated_once_and_every_replica_has_equally_many_batches(crew, images):
    workers, replicas, size = crew
    seen, lengths = np.zeros(images), []
    for part in parts_of(workers, replicas):
        batches = list(evaluation_batches(numbered(images), size, part))
        lengths.append(len(batches))
        for batch in batches if part.count > 1 else [(*batch, np.ones(len(batch[1]))) for batch in batches]:
            pixels, labels, weights = (np.asarray(tensor) for tensor in batch)
            np.testing.assert_array_equal(np.round(pixels[:, 0, 0, 0] * 255), labels)
            np.add.at(seen, labels, weights)

    assert len(set(lengths)) == 1
    assert lengths[0] % replicas == 0
    np.testing.assert_array_equal(seen, np.ones(images))


def test_records_are_dealt_as_arrays_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), "uint8")
    labels = np.arange(40, dtype="int32")
    split = ArraySplit(images, labels)
    write_tfrecords(ImageDataset("numbers", "idx", split, split), tmp_path / "records", shard_size=8)
    train, test = (sorted((tmp_path / "records" / name).glob("*.tfrecord*")) for name in ("train", "test"))
    stream = load_tfrecords(train, test, memory_limit=0).train
    assert isinstance(stream, StreamSplit)
    whole = taken(training_batches(stream, 8, seed=1), 10)

    read = [taken(training_batches(stream, 8, seed=1, part=part), 10) for part in parts_of(2, 1)]

    for step, batch in enumerate(whole):
        np.testing.assert_array_equal(read[0][step], batch[::2])
        np.testing.assert_array_equal(read[1][step], batch[1::2])
    assert sorted(np.concatenate(whole[:5])) == list(range(40))


def test_augmentation_of_parts_draws_for_each_of_its_own():
    def numbered_images(images, number):
        return images * 0 + tf.cast(number, tf.float32)

    seen = {}
    for part in parts_of(2, 2):
        batches = training_batches(numbered(24), 8, seed=0, first_step=2, augment=numbered_images, part=part)
        seen[part.numbers] = [int(images[0, 0, 0, 0]) for images, _ in batches.take(6)]

    # Step 2 of four parts begins with part 8.
    assert seen == {(0, 1): [8, 9, 12, 13, 16, 17], (2, 3): [10, 11, 14, 15, 18, 19]}


def test_a_batch_that_the_parts_do_not_divide_is_refused():
    with pytest.raises(InputError, match="batch-size must be a multiple of 4"):
        training_batches(numbered(60), 10, seed=0, part=Part((0,), 4))


@pytest.mark.parametrize("numbers", [(), (2,), (-1,)])
def test_a_part_that_is_none_is_refused(numbers):
    with pytest.raises(ValueError, match="there are no parts"):
        Part(numbers, 2)
