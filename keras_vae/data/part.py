"""The share of each batch that one of several processes reads when they train one model together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from keras_vae.errors import InputError


@dataclass(frozen=True)
class Part:
    """The parts ``numbers`` of a batch that is dealt into ``count`` equal parts, each with B / count of the B images.

    Image i of a batch is in part ``i mod count``: the first images of a batch are the first images of its parts.

    Raises:
        ValueError: when ``numbers`` is empty or not within 0 to ``count`` - 1.
    """

    numbers: tuple[int, ...] = (0,)
    count: int = 1

    def __post_init__(self) -> None:
        if not self.numbers or not set(self.numbers) <= set(range(self.count)):
            raise ValueError(f"there are no parts {self.numbers} of {self.count}")

    def check(self, batch_size: int) -> None:
        """Check that a batch can be dealt into equal parts.

        Raises:
            InputError: when it cannot.
        """
        if batch_size % self.count:
            raise InputError(
                f"batch-size must be a multiple of {self.count}, the parts that train on it together, got {batch_size}"
            )

    def of_batches(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """These parts of each batch, one after another."""
        if self.count == 1:
            return batches

        def parts_of(batch: tf.Tensor) -> tf.data.Dataset:
            parts = [batch[number :: self.count] for number in self.numbers]
            return tf.data.Dataset.from_tensor_slices(tf.stack(parts))

        return batches.flat_map(parts_of)

    def number_of(self, element: tf.Tensor) -> tf.Tensor:
        """The number of an ``element`` of `of_batches`, counted over the parts of all batches, and so unique."""
        numbers = tf.constant(self.numbers, tf.int64)
        own = len(self.numbers)
        return element // own * self.count + tf.gather(numbers, element % own)

    def deal(self, batches: tf.data.Dataset, total: int) -> tf.data.Dataset:
        """Deal whole batches to the parts in turn, each with a flag that says whether it counts: (batch, bool ()).

        Every part gets the same number of batches. Parts that would get none in the last round get a copy of the first
        batch, which does not count.

        Args:
            batches: the batches to deal.
            total: the number of batches.
        """

        def marked(is_counted: bool) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
            return lambda batch: (batch, tf.constant(is_counted))

        copies = batches.take(1).repeat(-total % self.count)
        all_batches = batches.map(marked(True)).concatenate(copies.map(marked(False)))
        numbers = tf.constant(self.numbers, tf.int64)
        dealt = all_batches.enumerate().filter(lambda number, _: tf.reduce_any(number % self.count == numbers))
        return dealt.map(lambda _, batch: batch)


WHOLE = Part()
