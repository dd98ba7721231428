"""A sprite sheet: thumbnails of images in one picture, as TensorBoard's embedding projector reads them."""

import math

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from keras_vae.errors import InputError
from keras_vae.visualize.mosaic import image_batch
from keras_vae.visualize.style import Picture

# Browsers refuse larger textures (the projector's documentation names this limit).
LARGEST_SIDE = 8192


def sprite_sheet(images: ArrayLike, *, largest_side: int = LARGEST_SIDE) -> tuple[Picture, tuple[int, int]]:
    """Images in reading order on a sheet with as many columns as rows, without gaps; unused places are black.

    Args:
        images: (N, H, W, C), float in [0, 1] or uint8.
        largest_side: the longest side of the sheet in pixels; thumbnails shrink to fit it.

    Returns:
        The sheet, uint8 RGB (rows · height, rows · width, 3), and a thumbnail's (width, height) in pixels.

    Raises:
        InputError: if they are not images, or too many to have a pixel each.
    """
    tiles = image_batch(images, "images")
    count = math.ceil(math.sqrt(len(tiles)))
    largest = largest_side // count
    if largest < 1:
        raise InputError(f"{len(tiles):,} images do not fit on a sheet of {largest_side} pixels a side")
    height, width = (max(1, min(side, side * largest // max(tiles.shape[1:3]))) for side in tiles.shape[1:3])
    if (height, width) != tiles.shape[1:3]:
        resized = [Image.fromarray(tile).resize((width, height), Image.Resampling.BOX) for tile in tiles]
        tiles = np.stack([np.asarray(tile) for tile in resized])
    sheet = np.zeros((count * count, height, width, 3), np.uint8)
    sheet[: len(tiles)] = tiles
    rows = sheet.reshape(count, count, height, width, 3).swapaxes(1, 2)
    return rows.reshape(count * height, count * width, 3), (width, height)
