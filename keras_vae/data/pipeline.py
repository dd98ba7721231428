"""tf.data pipelines over a split: endless shuffled batches for training, one pass in order for evaluation.

The order of an epoch depends only on the seed and the epoch, so that a resumed run sees the same batches as an unbroken
one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from keras_vae.data.augment import Augment
from keras_vae.data.dataset import ArraySplit, IndexedSplit, Split, StreamSplit
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

    A pipeline that starts at (``first_epoch``, ``first_step``) gives the same batches as an unbroken one from there on.

    Args:
        split: the images.
        batch_size: B, at least 1 and at most ``split.count``.
        seed: seed of the order.
        first_epoch: the epoch to start in.
        first_step: the step of that epoch to start at.
        augment: maps images float32 (B, H, W, C) and the number of their batch, counted over all epochs, to images;
            see `build_augmentation`.
        part: the parts of each batch to give, one after another. Images in other parts are not decoded.

    Returns:
        Images float32 (B, H, W, C) in [0, 1] with labels int32 (B,), or images alone if there are no labels. With
        parts, B is the size of a part.

    Raises:
        InputError: when the batch does not fit the split or the parts, or the start is negative.
    """
    steps = steps_per_epoch(split, batch_size)
    part.check(batch_size)
    if first_epoch < 0 or first_step < 0:
        raise InputError(f"training cannot start at epoch {first_epoch}, step {first_step}; both count from 0")
    first_epoch, first_step = first_epoch + first_step // steps, first_step % steps

    def endless(order: Callable[[tf.Tensor], tf.data.Dataset]) -> tf.data.Dataset:
        """Batches in the ``order`` of each epoch's seed, from the first step on."""

        @tf.autograph.experimental.do_not_convert
        def rest_of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            epoch_seed = tf.stack([tf.constant(seed, tf.int64), epoch])
            batches = order(epoch_seed).batch(batch_size, drop_remainder=True)
            return batches.skip(tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0))

        return part.of_batches(tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(rest_of_epoch))

    if isinstance(split, IndexedSplit):
        split = split.seeded(seed)
    # A stream is shuffled and skipped as serialised records, which are decoded afterwards.
    order = partial(_stream_order, split) if isinstance(split, StreamSplit) else partial(_index_order, split)
    batches = _parallel_map(endless(order), _reader(split))
    if augment is not None:
        # One batch after another, because each sets the random state of the layers.
        first = (first_epoch * steps + first_step) * len(part.numbers)
        batches = batches.enumerate(first).map(
            lambda element, batch: _on_images(lambda images: augment(images, part.number_of(element)))(
                *_as_tuple(batch)
            )
        )
    batches = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return batches.prefetch(tf.data.AUTOTUNE)


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """The number of whole batches in an epoch.

    Raises:
        InputError: when ``batch_size`` is below 1 or above ``split.count``.
    """
    _check_batch_size(batch_size)
    if batch_size > split.count:
        raise InputError(f"batch-size must be at most the {split.count} training images, got {batch_size}")
    return split.count // batch_size


def evaluation_batches(split: Split, batch_size: int, part: Part = WHOLE) -> tf.data.Dataset:
    """The split once, in order, with elements like those of ``training_batches``. The last batch may be smaller.

    With several parts, whole batches are dealt to the parts in turn. Each batch then has a third element, bool (B,),
    which is False in copies that only fill up the last round. Labels are zeros if there are none.

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
    """Images and labels of a dealt batch, and whether the batch counts."""
    images, labels = (*_as_tuple(read(batch)), tf.zeros(tf.shape(batch), tf.int32))[:2]
    return images, labels, tf.fill(tf.shape(batch), is_counted)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise InputError(f"batch-size must be at least 1, got {batch_size}")


def _index_order(split: ArraySplit | IndexedSplit, epoch_seed: tf.Tensor) -> tf.data.Dataset:
    """Every index once, counted over all epochs if the images are drawn in each."""
    order = tf.random.experimental.stateless_shuffle(tf.range(split.count, dtype=tf.int64), epoch_seed)
    if isinstance(split, IndexedSplit) and split.read_with is not None:
        order += epoch_seed[1] * split.count
    return tf.data.Dataset.from_tensor_slices(order)


def _stream_order(split: StreamSplit, epoch_seed: tf.Tensor) -> tf.data.Dataset:
    """Every serialised record once: shards are shuffled first, then records within a buffer."""
    order = tf.random.experimental.stateless_shuffle(tf.range(len(split.shards)), epoch_seed)
    records = split.shards_in(order).interleave(
        split.records_of,
        cycle_length=min(_SHARDS_READ_TOGETHER, len(split.shards)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # tf.data combines a shuffle's seed with the global seed. This fixes the global seed of the graph being traced, so
    # that the order does not depend on that of the process.
    tf.compat.v1.set_random_seed(1)
    buffer_seed = tf.random.stateless_uniform((), epoch_seed, maxval=tf.int64.max, dtype=tf.int64)
    return records.shuffle(split.shuffle_buffer, seed=buffer_seed, reshuffle_each_iteration=False)


def _reader(split: Split) -> Callable[[tf.Tensor], Any]:
    """A function from a batch of indices, or of serialised records, to images float32 (and labels)."""
    if isinstance(split, StreamSplit):
        return lambda records: _on_images(_to_float)(*_as_tuple(split.decode(records)))

    # The whole batch at once; single images would be far slower in tf.data.
    def take(indices: tf.Tensor) -> Any:
        images, labels = split.take(indices)
        return _to_float(images) if labels is None else (_to_float(images), labels)

    return take


def _to_float(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255.0


def _on_images(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., Any]:
    """Apply a function to the images of batches with or without labels."""
    return lambda images, *labels: (function(images), *labels) if labels else function(images)


def _as_tuple(batch: Any) -> tuple[Any, ...]:
    return batch if isinstance(batch, tuple) else (batch,)


def _parallel_map(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    # No function here depends on a tensor's value in Python: rewriting it would only take time.
    function = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
