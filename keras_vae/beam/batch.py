"""What passes between the steps of a job: images by the batch, since a step for each image would cost more than it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keras_vae.data.dataset import Int32Array, UInt8Array


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Some images of one part of the input, in their order.

    Args:
        part: the number of the part.
        start: the place of the batch in its part.
        names: of each image: its path, or that of its TFRecord file and, after a colon, the number of its record.
        images: uint8 (N, H, W, C), N of at least 1.
        labels: int32 (N,), -1 where an image has none.
    """

    part: int
    start: int
    names: Sequence[str]
    images: UInt8Array
    labels: Int32Array


class BadImage(NamedTuple):
    """An image that a job goes on without.

    Args:
        name: as in `ImageBatch`.
        reason: why, in one line.
    """

    name: str
    reason: str
