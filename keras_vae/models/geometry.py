"""The grid of every level for an image size, and the padding and crop around the down-samplings."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from keras import ops


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Sizes in a pyramid of feature maps: the stem divides by ``stem_stride``, each level but the last by 2.

    Raises:
        ValueError: when ``stem_stride`` is neither 1 nor 2.
    """

    height: int
    width: int
    levels: int
    stem_stride: int

    def __post_init__(self) -> None:
        if self.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2, got {self.stem_stride}")

    @property
    def factor(self) -> int:
        """The image's side over the coarsest grid's."""
        return self.stem_stride * 2 ** (self.levels - 1)

    @property
    def padded(self) -> tuple[int, int]:
        """The sides rounded up to multiples of ``factor``."""
        return (
            math.ceil(self.height / self.factor) * self.factor,
            math.ceil(self.width / self.factor) * self.factor,
        )

    def grid(self, level: int) -> tuple[int, int]:
        """The feature map (h, w) at ``level``, 0 the finest."""
        stride = self.stem_stride * 2**level
        return self.padded[0] // stride, self.padded[1] // stride

    def pad(self, images: Any) -> Any:
        """(N, height, width, C) → (N, *padded, C), zeros on both sides."""
        margins = [(0, 0), *self._margins(), (0, 0)]
        return images if self.padded == (self.height, self.width) else ops.pad(images, margins)

    def crop(self, images: Any) -> Any:
        """The inverse of `pad`."""
        (top, _), (left, _) = self._margins()
        return images[:, top : top + self.height, left : left + self.width, :]

    def _margins(self) -> list[tuple[int, int]]:
        extra = [padded - side for padded, side in zip(self.padded, (self.height, self.width), strict=True)]
        return [(margin // 2, margin - margin // 2) for margin in extra]
