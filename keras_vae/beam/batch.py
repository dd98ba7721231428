"""The elements that pass between the steps of a job: batches of images, since a step per image would cost too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keras_vae.data.dataset import Int32Array, UInt8Array


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Consecutive images from one part of the input.

    Args:
        part: number of the part.
        start: position of the batch in its part.
        names: name of each image: its path, or the path of its TFRecord file, a colon and the number of its record.
        images: uint8 (N, H, W, C), N ≥ 1.
        labels: int32 (N,), -1 for an image without a label.
    """

    part: int
    start: int
    names: Sequence[str]
    images: UInt8Array
    labels: Int32Array


class BadImage(NamedTuple):
    """An image that a job leaves out.

    Args:
        name: as in `ImageBatch`.
        reason: the reason, in one line.
    """

    name: str
    reason: str
