"""The share of every batch that one process reads, where several train one model together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_vae.errors import InputError


@dataclass(frozen=True)
class Part:
    """Parts ``numbers`` of the ``count`` equal ones that every batch of B images is dealt into, B / count images each.

    Image i of a batch is in part ``i mod count``: the leading share of the batch is the parts' leading shares together.

    Raises:
        ValueError: when ``numbers`` are not some of 0 to ``count`` - 1.
    """

    numbers: tuple[int, ...] = (0,)
    count: int = 1

    def __post_init__(self) -> None:
        if not self.numbers or not set(self.numbers) <= set(range(self.count)):
            raise ValueError(f"there are no parts {self.numbers} of {self.count}")

    def check(self, batch_size: int) -> None:
        """Check that the parts of a batch are equal.

        Raises:
            InputError: when they are not.
        """
        if batch_size % self.count:
            raise InputError(
                f"batch-size must be a multiple of {self.count}, the parts that train on it together, got {batch_size}"
            )

    def of_batches(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """These parts of every batch, one after another."""
        if self.count == 1:
            return batches

        def parts_of(batch: tf.Tensor) -> tf.data.Dataset:
            parts = [batch[number :: self.count] for number in self.numbers]
            return tf.data.Dataset.from_tensor_slices(tf.stack(parts))

        return batches.flat_map(parts_of)

    def number_of(self, element: tf.Tensor) -> tf.Tensor:
        """Which part of all batches' ``element`` of `of_batches` is, counted over all parts: different for each."""
        numbers = tf.constant(self.numbers, tf.int64)
        own = len(self.numbers)
        return element // own * self.count + tf.gather(numbers, element % own)

    def deal(self, batches: tf.data.Dataset, total: int) -> tf.data.Dataset:
        """Whole batches dealt to the parts in turn, each with whether it counts: (batch, bool ()).

        Every part gets equally many. Parts that would have none left in the last round get a copy of the first batch,
        which does not count.

        Args:
            batches: what to deal.
            total: how many there are.
        """

        def marked(is_counted: bool) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
            return lambda batch: (batch, tf.constant(is_counted))

        copies = batches.take(1).repeat(-total % self.count)
        all_batches = batches.map(marked(True)).concatenate(copies.map(marked(False)))
        numbers = tf.constant(self.numbers, tf.int64)
        dealt = all_batches.enumerate().filter(lambda number, _: tf.reduce_any(number % self.count == numbers))
        return dealt.map(lambda _, batch: batch)


WHOLE = Part()
