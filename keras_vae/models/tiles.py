"""Large images in overlapping square tiles, whose seams are blended, so that memory does not grow with the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.image_input import check_images
from keras_vae.models.graphs import as_graph

if TYPE_CHECKING:
    from keras_vae.models.vae import VAE

Array = npt.NDArray[np.float32]

OVERLAP = 64
"""By default neighbouring tiles share so many pixels."""


def encode_tiles(vae: VAE, images: Any, labels: Any, tile: int, overlap: int) -> tuple[Array, Array]:
    """`VAE.encode` in tiles of ``tile`` pixels; mean and log-variance, NumPy arrays float32 (N, h, w, c).

    Raises:
        InputError: if the latent is a vector, or the sizes are no multiples of a latent's position.
    """
    factor = _checked_factor(vae, tile, overlap)
    # Tiles become floats one by one: the floats of a whole image of bytes would be four times as large as it is.
    check_images(type(vae.encoder).__name__, images, (None, None, vae.image_shape[-1]))
    labels = vae.encoder.checked_labels(labels, images.shape[0])
    geometry = vae.encoder.geometry_of(*images.shape[1:3])
    height, width = geometry.padded
    # Without padding, what is left of a side that does not divide is dropped.
    padded = ops.convert_to_numpy(geometry.pad(images))[:, :height, :width]
    mean, log_var = _in_tiles(as_graph(vae, "encode"), padded, labels, (tile, overlap), (1, factor))
    return mean, log_var


def decode_tiles(vae: VAE, z: Any, labels: Any, tile: int, overlap: int) -> Array:
    """`VAE.decode` in tiles of ``tile`` pixels: images, a NumPy array float32 (N, H, W, C).

    Raises:
        InputError: as `encode_tiles`.
    """
    factor = _checked_factor(vae, tile, overlap)
    z, labels = vae.decoder.checked(z, labels)
    maps = ops.convert_to_numpy(vae.decoder.unflattened(z))
    geometry = vae.encoder.geometry_of(*vae.image_shape[:2])
    sides = tuple(min(tile, side * factor) for side in maps.shape[1:3])
    is_cropped = geometry.padded != (geometry.height, geometry.width)
    if is_cropped and sides == geometry.padded != tuple(side * factor for side in maps.shape[1:3]):
        raise InputError(f"tile must not be {tile}: the model crops images of that size; choose a larger one")

    if max(maps.shape[1:3]) * factor <= tile:
        return np.array(ops.convert_to_numpy(vae.decode(maps, labels)))
    (images,) = _in_tiles(as_graph(vae, "decode"), maps, labels, (tile // factor, overlap // factor), (factor, 1))
    # Weights sum to 1 but for rounding.
    np.clip(images, 0.0, 1.0, out=images)
    return np.asarray(geometry.crop(images)) if images.shape[1:3] == geometry.padded else images


def _checked_factor(vae: VAE, tile: int, overlap: int) -> int:
    """The pixels along a side that make one position of the latent."""
    if not vae.encoder.is_spatial:
        raise InputError(f"only a spatial latent has tiles; this one is a vector of {vae.latent_dim}")
    factor = vae.encoder.geometry_of(*vae.image_shape[:2]).factor
    if tile < factor or tile % factor:
        raise InputError(f"tile must be a multiple of the {factor} pixels of a latent's position, got {tile}")
    if not 0 <= overlap < tile or overlap % factor:
        raise InputError(f"overlap must be a multiple of {factor} and less than tile, got {overlap}")
    return factor


def _in_tiles(
    function: Callable[[Array, Any], Any],
    maps: Array,
    labels: Any,
    sizes: tuple[int, int],
    ratio: tuple[int, int],
) -> tuple[Array, ...]:
    """The outputs of ``function`` on each image's tiles, joined.

    Args:
        function: takes one tile (1, t, u, C) and one label; what it gives has the tile's sides times ``ratio``.
        maps: (N, H, W, C).
        labels: (N,) or None.
        sizes: the sides of tiles and of what neighbours share, on ``maps``.
        ratio: numerator and denominator.
    """
    count, *sides, _ = maps.shape
    scaled = [side * ratio[0] // ratio[1] for side in sides]
    joined: tuple[Array, ...] = ()
    for index in range(count):
        label = None if labels is None else labels[index : index + 1]
        for rows, down, row_weights in _spans(sides[0], *sizes, ratio):
            for columns, across, column_weights in _spans(sides[1], *sizes, ratio):
                outputs = function(maps[index : index + 1, rows, columns], label)
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                if not joined:
                    joined = tuple(np.zeros((count, *scaled, output.shape[-1]), np.float32) for output in outputs)
                weights = row_weights[:, None, None] * column_weights[:, None]
                for whole, output in zip(joined, outputs, strict=True):
                    whole[index, down, across] += weights * ops.convert_to_numpy(output)[0]
    return joined


def _spans(length: int, tile: int, overlap: int, ratio: tuple[int, int]) -> Iterator[tuple[slice, slice, Array]]:
    """The tiles along a side, each one's place along that side of the output, and its weights there.

    All weights of a position sum to 1. They rise and fall linearly over the overlap. The last tile ends where the side
    does, so that all are of one size.
    """
    last = max(0, length - tile)
    starts = [*range(0, last, tile - overlap), last]
    ramp = overlap * ratio[0] // ratio[1]
    size = min(length, tile) * ratio[0] // ratio[1]
    rising = np.minimum(1.0, np.arange(1, size + 1) / (ramp + 1))
    windows = [
        (rising if start > 0 else np.ones(size)) * (rising[::-1] if start < last else np.ones(size)) for start in starts
    ]
    sums = np.zeros(length * ratio[0] // ratio[1])
    places = [slice(start * ratio[0] // ratio[1], start * ratio[0] // ratio[1] + size) for start in starts]
    for place, window in zip(places, windows, strict=True):
        sums[place] += window
    for start, place, window in zip(starts, places, windows, strict=True):
        yield slice(start, start + min(length, tile)), place, (window / sums[place]).astype(np.float32)
