"""tf.data over a split: endless shuffled batches to train on, and the split once, in order, to evaluate on.

The order of an epoch depends on (seed, epoch) alone, so a resumed run sees exactly the batches that an
unbroken one would have seen.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from keras_vae.data.augment import Augment
from keras_vae.data.dataset import Split, StreamSplit
from keras_vae.data.part import WHOLE, Part
from keras_vae.errors import InputError

_SHARDS_READ_TOGETHER = 16


def training_batches(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    first_epoch: int = 0,
    first_step: int = 0,
    augment: Augment | None = None,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Endless batches, shuffled afresh in each epoch; the last, incomplete batch of an epoch is dropped.

    Starting at (``first_epoch``, ``first_step``) gives what an unbroken run gives from there.

    Args:
        split: where the images are.
        batch_size: B, at least 1 and at most ``split.count``.
        seed: makes the order.
        first_epoch: the epoch to start in.
        first_step: the step of that epoch to start at.
        augment: maps images float32 (B, H, W, C) and the number of their batch, counted over all epochs, to images;
            see `build_augmentation`.
        part: the parts of each batch to give, one after another; other images are not even decoded.

    Returns:
        Images float32 (B, H, W, C) in [0, 1] with labels int32 (B,), or alone when there are no labels. Of parts, B is
        a part's size.

    Raises:
        InputError: when the batch does not fit the split or the parts, or the start is negative.
    """
    steps = steps_per_epoch(split, batch_size)
    part.check(batch_size)
    if first_epoch < 0 or first_step < 0:
        raise InputError(f"training cannot start at epoch {first_epoch}, step {first_step}; both count from 0")
    first_epoch, first_step = first_epoch + first_step // steps, first_step % steps

    def endless(order: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        """Batches of what ``order`` gives for each epoch's seed, from the first step on."""

        def rest_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
            batches = order(epoch_seed).batch(batch_size, drop_remainder=True)
            return batches.skip(tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0))

        return part.of_batches(tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(rest_of_epoch))

    # A stream is shuffled and skipped as records, and decoded after that.
    order = partial(_stream_order, split) if isinstance(split, StreamSplit) else partial(_index_order, split.count)
    batches = _parallel_map(endless(order), _reader(split))
    if augment is not None:
        # In sequence, since a layer's random state is set for each batch.
        first = (first_epoch * steps + first_step) * len(part.numbers)
        batches = batches.enumerate(first).map(
            lambda element, batch: _on_images(lambda images: augment(images, part.number_of(element)))(
                *_as_tuple(batch)
            )
        )
    batches = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return batches.prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """How many whole batches an epoch has.

    Raises:
        InputError: when ``batch_size`` is below 1 or above ``split.count``.
    """
    _check_batch_size(batch_size)
    if batch_size > split.count:
        raise InputError(f"batch-size must be at most the {split.count} training images, got {batch_size}")
    return split.count // batch_size


def evaluation_batches(split: Split, batch_size: int, part: Part = WHOLE) -> tf.data.Dataset:
    """The split once, in order, as ``training_batches`` gives it; the last batch may be smaller.

    For several parts, whole batches are dealt to the parts in turn. Each then has a third element, bool (B,): True, or
    False in a copy that fills up the last round and does not count. Labels are zeros where there are none.

    Raises:
        InputError: when ``batch_size`` is below 1.
    """
    _check_batch_size(batch_size)
    total = -(-split.count // batch_size)
    elements = split.records() if isinstance(split, StreamSplit) else tf.data.Dataset.range(split.count)
    batches = elements.batch(batch_size)
    read = _reader(split)
    if part.count == 1:
        batches = _parallel_map(batches, read)
    else:
        batches = _parallel_map(part.deal(batches, total), partial(_marked, read))
        total = -(-total // part.count) * len(part.numbers)
    return batches.apply(tf.data.experimental.assert_cardinality(total)).prefetch(tf.data.AUTOTUNE)


def _marked(read: Callable[[tf.Tensor], Any], batch: tf.Tensor, is_counted: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images and labels of a dealt batch, and whether they count."""
    images, labels = (*_as_tuple(read(batch)), tf.zeros(tf.shape(batch), tf.int32))[:2]
    return images, labels, tf.fill(tf.shape(batch), is_counted)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise InputError(f"batch-size must be at least 1, got {batch_size}")


def _index_order(count: int, epoch_seed: tf.Tensor) -> tf.data.Dataset:
    """Every index once."""
    order = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), epoch_seed)
    return tf.data.Dataset.from_tensor_slices(order)


def _stream_order(split: StreamSplit, epoch_seed: tf.Tensor) -> tf.data.Dataset:
    """Every serialised record once: the shards shuffled, then the records within a buffer."""
    order = tf.random.experimental.stateless_shuffle(tf.range(len(split.shards)), epoch_seed)
    records = split.shards_in(order).interleave(
        split.records_of,
        cycle_length=min(_SHARDS_READ_TOGETHER, len(split.shards)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # Of the graph that is being traced: tf.data joins a shuffle's seed with the process's global one, so that the order
    # would depend on that too, and cannot where it is 0.
    tf.compat.v1.set_random_seed(1)
    buffer_seed = tf.random.stateless_uniform((), epoch_seed, maxval=tf.int64.max, dtype=tf.int64)
    return records.shuffle(split.shuffle_buffer, seed=buffer_seed, reshuffle_each_iteration=False)


def _reader(split: Split) -> Callable[[tf.Tensor], Any]:
    """From a batch of indices, or of a stream's serialised records, to images float32 (and labels)."""
    if isinstance(split, StreamSplit):
        return lambda records: _on_images(_to_float)(*_as_tuple(split.decode(records)))

    # The whole batch at once: image by image, tf.data would be far slower.
    def take(indices: tf.Tensor) -> Any:
        images, labels = split.take(indices)
        return _to_float(images) if labels is None else (_to_float(images), labels)

    return take


def _to_float(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255.0


def _on_images(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., Any]:
    """The same function for batches of images alone and of images with labels."""
    return lambda images, *labels: (function(images), *labels) if labels else function(images)


def _as_tuple(batch: Any) -> tuple[Any, ...]:
    return batch if isinstance(batch, tuple) else (batch,)


def _parallel_map(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
