"""Descriptions of an image's patches: VGG16's activations on one grid.

Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection", section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_vae.scoring.detector import Array

# Positions a side of the grid. Finer ones take memory and find no smaller defects after smoothing.
MOST_POSITIONS = 32
# The first block sees edges of three pixels, which are of no use for what is normal here.
FIRST_TAP = 1
# Images whose activations are in memory at a time: 64 MB in the first block of images of 256×256.
MOST_PIXELS = 1 << 18


def patch_features(taps: Sequence[Any]) -> Any:
    """Three taps of VGG16 → (N, h, w, 384), the mean of each 3×3 neighbourhood on one grid, float32.

    The activations of the second and third block, after the mean over 3×3 neighbours, are averaged
    over the cells of the grid of the third, with at most 32 positions a side.
    """
    maps = [_of_neighbours(tap) for tap in taps[FIRST_TAP:]]
    height, width = maps[-1].shape[1:3]
    stride = -(-max(height, width) // MOST_POSITIONS)
    grid = (height // stride, width // stride)
    return ops.concatenate([_on_grid(ops.cast(part, "float32"), grid) for part in maps], axis=-1)


def batches(images: Array) -> Iterator[Array]:
    """Images in parts that fit into memory."""
    size = max(1, min(256, MOST_PIXELS // (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _of_neighbours(features: Any) -> Any:
    return ops.average_pool(features, 3, strides=1, padding="same", data_format="channels_last")


def _on_grid(features: Any, grid: tuple[int, int]) -> Any:
    """Means of the cells of the grid, which share an activation by area where a border runs through it."""
    height, width, channels = features.shape[1:]
    if height % grid[0] == 0 and width % grid[1] == 0:
        down, right = height // grid[0], width // grid[1]
        cells = ops.reshape(features, (-1, grid[0], down, grid[1], right, channels))
        return ops.mean(cells, axis=(2, 4))
    # Not `ops.image.resize`, whose antialiasing LiteRT lacks.
    of_rows = ops.einsum("gh,nhwc->ngwc", _shares(height, grid[0]), features)
    return ops.einsum("gw,nhwc->nhgc", _shares(width, grid[1]), of_rows)


def _shares(size: int, cells: int) -> Array:
    """How much each of ``size`` values counts in the mean of each cell: (cells, size), rows of sum 1."""
    edges = np.linspace(0, size, cells + 1)
    places = np.arange(size)
    ends = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return (np.maximum(ends, 0) * cells / size).astype(np.float32)
