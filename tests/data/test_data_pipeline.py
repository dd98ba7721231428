"""The tf.data pipeline over splits in memory; test_data_tfds.py has the streamed one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.data import ArraySplit, evaluation_batches, steps_per_epoch, training_batches
from keras_vae.errors import InputError

COUNT, BATCH = 23, 5
STEPS = COUNT // BATCH


def numbered_split(labels=True):
    """Image i has the value i in every pixel, and the label i."""
    numbers = np.arange(COUNT)
    images = np.broadcast_to(numbers[:, None, None, None], (COUNT, 4, 3, 1)).astype(np.uint8)
    return ArraySplit(images, numbers.astype(np.int32) if labels else None)


def label_batches(count, **options):
    batches = training_batches(numbered_split(), BATCH, **{"seed": 7, **options})
    return [labels.tolist() for _, labels in batches.take(count).as_numpy_iterator()]


def test_training_batches_are_float_images_in_0_to_1_with_their_labels():
    images, labels = next(training_batches(numbered_split(), BATCH, seed=0).as_numpy_iterator())

    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    expected = np.broadcast_to((labels.astype(np.float32) / 255)[:, None, None, None], (BATCH, 4, 3, 1))
    np.testing.assert_array_equal(images, expected)


def test_black_and_white_become_exactly_0_and_1():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    batch = next(evaluation_batches(ArraySplit(images), 2).as_numpy_iterator())
    assert batch.ravel().tolist() == [0.0, 1.0]


def test_without_labels_the_batches_are_images_alone():
    split = numbered_split(labels=False)
    for batches in (training_batches(split, BATCH, seed=0), evaluation_batches(split, BATCH)):
        assert isinstance(batches.element_spec, tf.TensorSpec)


def test_training_batches_have_static_shapes_and_never_end():
    batches = training_batches(numbered_split(), BATCH, seed=0)
    assert [spec.shape.as_list() for spec in batches.element_spec] == [[BATCH, 4, 3, 1], [BATCH]]
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def test_an_epoch_shows_each_image_at_most_once_and_drops_the_remainder():
    seen = list(itertools.chain.from_iterable(label_batches(STEPS)))
    assert len(seen) == len(set(seen)) == STEPS * BATCH


def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    two_epochs = label_batches(2 * STEPS)
    assert two_epochs[:STEPS] != two_epochs[STEPS:]
    assert two_epochs[:STEPS] != label_batches(STEPS, seed=8)
    assert two_epochs[:STEPS] != np.arange(STEPS * BATCH).reshape(STEPS, BATCH).tolist()


def test_each_image_is_left_out_of_some_epochs_but_not_always_the_same():
    seen = set(itertools.chain.from_iterable(label_batches(20 * STEPS)))
    assert seen == set(range(COUNT))


def test_the_order_is_the_same_each_time_and_does_not_depend_on_the_global_seed():
    tf.random.set_seed(1)
    first = label_batches(2 * STEPS)
    tf.random.set_seed(2)
    assert label_batches(2 * STEPS) == first


@pytest.mark.parametrize(("epoch", "step"), [(0, 0), (0, 3), (1, 0), (2, 1), (1, STEPS), (0, 2 * STEPS + 1)])
def test_a_resumed_run_sees_exactly_the_batches_of_an_unbroken_one(epoch, step):
    unbroken = label_batches(5 * STEPS)
    resumed = label_batches(2 * STEPS, first_epoch=epoch, first_step=step)
    start = epoch * STEPS + step
    assert resumed == unbroken[start : start + 2 * STEPS]


def test_permutations_are_uniform():
    # Where image 0 stands over 600 epochs of 6: chi-square, 5 degrees of freedom, 99.9 % quantile 20.5.
    split = ArraySplit(np.zeros((6, 1, 1, 1), np.uint8), np.arange(6, dtype=np.int32))
    orders = [labels for _, labels in training_batches(split, 6, seed=3).take(600).as_numpy_iterator()]
    counts = np.bincount(np.argmin(orders, axis=1), minlength=6)
    assert ((counts - 100) ** 2 / 100).sum() < 20.5


def test_augment_is_applied_to_the_float_images_and_leaves_the_labels():
    plain = training_batches(numbered_split(), BATCH, seed=0)
    augmented = training_batches(numbered_split(), BATCH, seed=0, augment=lambda images, number: 1.0 - images)
    for (images, labels), (inverted, same_labels) in zip(plain.take(3), augmented.take(3), strict=True):
        np.testing.assert_array_equal(inverted, 1.0 - images)
        np.testing.assert_array_equal(same_labels, labels)


@pytest.mark.parametrize("labels", [True, False])
def test_augment_is_told_the_number_of_the_batch_over_all_epochs(labels):
    def mark(images, number):
        return tf.zeros_like(images) + tf.cast(number, tf.float32)

    batches = training_batches(numbered_split(labels), BATCH, seed=0, first_epoch=1, first_step=2, augment=mark)
    found = [batch[0] if labels else batch for batch in batches.take(4).as_numpy_iterator()]
    assert [images.max() for images in found] == [STEPS + 2, STEPS + 3, STEPS + 4, STEPS + 5]


def test_evaluation_batches_are_the_split_once_in_order_with_the_remainder():
    batches = evaluation_batches(numbered_split(), BATCH)
    labels = [batch_labels.tolist() for _, batch_labels in batches.as_numpy_iterator()]
    assert list(itertools.chain.from_iterable(labels)) == list(range(COUNT))
    assert [len(batch) for batch in labels] == [5, 5, 5, 5, 3]
    assert batches.cardinality() == 5


def test_steps_per_epoch_counts_whole_batches():
    assert steps_per_epoch(numbered_split(), BATCH) == 4
    assert steps_per_epoch(numbered_split(), COUNT) == 1


@pytest.mark.parametrize("batch_size", [-1, 0, COUNT + 1])
def test_a_batch_size_that_does_not_fit_is_refused(batch_size):
    with pytest.raises(InputError, match=f"batch-size must be at .* got {batch_size}"):
        training_batches(numbered_split(), batch_size, seed=0)


def test_an_evaluation_batch_of_nothing_is_refused():
    with pytest.raises(InputError, match="batch-size must be at least 1, got 0"):
        evaluation_batches(numbered_split(), 0)


def test_a_negative_start_is_refused():
    with pytest.raises(InputError, match="both count from 0"):
        training_batches(numbered_split(), BATCH, seed=0, first_epoch=-1)
