"""Squares of photographs: random ones to train on, others in every epoch, and a grid of tiles to test on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from keras_vae.data.dataset import IndexedSplit, Int32Array, UInt8Array

# Pixels of the result that Lanczos looks at on each side.
_LANCZOS = 3
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Crop:
    """How photographs are cut.

    Args:
        side: N, the height and width of the squares.
        scale: training images are squares of N to ``scale``·N pixels of the photograph, log-uniform, shrunk to N.
    """

    side: int
    scale: float = 1.0


def random_squares(
    photographs: Sequence[UInt8Array], crop: Crop, labels: Int32Array | None, pixels_sha256: str
) -> IndexedSplit:
    """As many random squares in an epoch as would tile the photographs; each photograph has its share of them.

    Positions are uniform. A square depends on the seed, the epoch and its number alone.

    Args:
        photographs: uint8 (h, w, C), h and w of at least ``crop.side``.
        crop: how to cut.
        labels: of the photographs, int32, or None.
        pixels_sha256: `Fingerprint` of the photographs.
    """
    squares = _Squares(photographs, crop)
    return squares.split(labels, pixels_sha256, is_random=True)


def tiles(photographs: Sequence[UInt8Array], crop: Crop, labels: Int32Array | None, pixels_sha256: str) -> IndexedSplit:
    """A grid of squares in the middle of each photograph, at full resolution; what is left at the borders is unused.

    The arguments are those of `random_squares`.
    """
    return _Squares(photographs, crop).split(labels, pixels_sha256, is_random=False)


class _Squares:
    """The places of squares that tile photographs. Any consecutive numbers are spread over all photographs."""

    def __init__(self, photographs: Sequence[UInt8Array], crop: Crop) -> None:
        self._photographs, self._side, self._scale = photographs, crop.side, crop.scale
        counts = [(image.shape[0] // crop.side) * (image.shape[1] // crop.side) for image in photographs]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self.count = int(self._ends[-1])
        # Steps of the golden ratio spread evenly, and meet every place once if they have no divisor in common with all.
        self._step = max(1, round(_GOLDEN * self.count))
        while math.gcd(self._step, self.count) > 1:
            self._step += 1

    def split(self, labels: Int32Array | None, pixels_sha256: str, *, is_random: bool) -> IndexedSplit:
        """The squares as a split."""
        return IndexedSplit(
            self.count,
            (self._side, self._side, self._photographs[0].shape[2]),
            partial(self._random, seed=0) if is_random else self._tiles,
            None if labels is None else labels[self._places(np.arange(self.count))[0]],
            pixels_sha256,
            read_with=(lambda seed: partial(self._random, seed=seed)) if is_random else None,
        )

    def _places(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The photograph of each number, and the number of its tile there."""
        places = numbers % self.count * self._step % self.count
        photographs = np.searchsorted(self._ends, places, side="right")
        return photographs, places - np.concatenate([[0], self._ends])[photographs]

    def _tiles(self, numbers: npt.NDArray[np.int64]) -> UInt8Array:
        side, found = self._side, []
        for number, tile in zip(*self._places(numbers), strict=True):
            photograph = self._photographs[number]
            height, width, _ = photograph.shape
            row, column = divmod(int(tile), width // side)
            top, left = height % side // 2 + row * side, width % side // 2 + column * side
            found.append(photograph[top : top + side, left : left + side])
        return np.stack(found)

    def _random(self, numbers: npt.NDArray[np.int64], seed: int) -> UInt8Array:
        found = []
        for number, photograph in zip(numbers, self._places(numbers)[0], strict=True):
            random = np.random.default_rng((seed, int(number))).random(3)
            found.append(self._random_square(self._photographs[photograph], *random))
        return np.stack(found)

    def _random_square(self, photograph: UInt8Array, down: float, across: float, larger: float) -> UInt8Array:
        """A square at a place and of a size that three numbers in [0, 1) choose."""
        height, width, _ = photograph.shape
        largest = min(self._scale, min(height, width) / self._side)
        size = round(self._side * largest**larger)
        top, left = int(down * (height - size + 1)), int(across * (width - size + 1))
        return shrunk_square(photograph, top, left, size, self._side)


def shrunk_square(photograph: UInt8Array, top: int, left: int, size: int, side: int) -> UInt8Array:
    """The square of ``size`` pixels at (``top``, ``left``), shrunk to ``side`` pixels (Lanczos, antialiased).

    The filter also looks at pixels around the square, as it would if the whole photograph were shrunk.
    """
    if size == side:
        return photograph[top : top + size, left : left + size]
    margin = math.ceil(_LANCZOS * size / side)
    above, before = min(margin, top), min(margin, left)
    around = photograph[top - above : top + size + margin, left - before : left + size + margin]
    # Pillow takes grey images without an axis for channels.
    image = Image.fromarray(around[..., 0] if around.shape[2] == 1 else around)
    box = (before, above, before + size, above + size)
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, box)).reshape(side, side, -1)
