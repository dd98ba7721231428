"""Grids of images: samples, classes, and originals over reconstructions, as one picture or as frames of a GIF."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_vae.errors import InputError
from keras_vae.visualize.mosaic import Mosaic, image_batch, in_rows
from keras_vae.visualize.style import FRAME_WIDTH, PLOT_WIDTH, Picture

# The room for row names beside a table, such as "original" and "reconstruction" in a GIF frame.
_NAMES_WIDTH = 120


def image_grid(
    images: ArrayLike, *, columns: int | None = None, title: str | None = None, width: int = PLOT_WIDTH
) -> Picture:
    """Images in reading order, row by row.

    Args:
        images: (N, H, W, C), float in [0, 1] or uint8.
        columns: images in a row. Default: a grid about as wide as high, with a full last row if possible.
        title: above the grid; None for none.
        width: width of the picture to aim at, pixels; tiles grow by whole factors only.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: for images of another shape or dtype, or ``columns`` below 1.
    """
    rgb = image_batch(images, "images")
    if columns is not None and columns < 1:
        raise InputError(f"columns must be at least 1, got {columns}")
    columns = min(columns or _columns_of_a_square(len(rgb)), len(rgb))
    # A handful of images is not blown up to the full width.
    aimed = min(width, max(220 * columns, 400))
    return Mosaic(tiles=in_rows(rgb, columns), title=title, width=aimed, filled=len(rgb)).draw()


def class_grid(
    images: ArrayLike, class_names: Sequence[str], *, title: str | None = None, width: int = PLOT_WIDTH
) -> Picture:
    """A row of images for each class.

    Args:
        images: (classes, N, H, W, C), float in [0, 1] or uint8.
        class_names: one for each row.
        title: above the grid; None for none.
        width: width of the picture to aim at, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: for images of another shape or dtype, or another number of names.
    """
    tiles = image_batch(images, "images", axes=5)
    if len(class_names) != len(tiles):
        raise InputError(f"class_names: expected {len(tiles)} names, got {len(class_names)}")
    aimed = min(width - _NAMES_WIDTH, 160 * tiles.shape[1])
    return Mosaic(tiles=tiles, title=title, width=aimed, row_names=list(class_names)).draw()


def reconstruction_grid(
    originals: ArrayLike,
    reconstructions: ArrayLike,
    *,
    title: str | None = None,
    columns: int | None = None,
    width: int = FRAME_WIDTH,
) -> Picture:
    """Each original with its reconstruction right below it.

    Args:
        originals, reconstructions: (N, H, W, C) each, float in [0, 1] or uint8.
        title: above the grid; None for none.
        columns: pairs side by side. Default: at most 10, chosen to fill the last row if possible.
        width: width of the picture to aim at, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: if the two differ in shape (channels may differ), or are not images.
    """
    above, below = image_batch(originals, "originals"), image_batch(reconstructions, "reconstructions")
    if above.shape != below.shape:
        raise InputError(
            "originals and reconstructions must have the same shape, "
            f"got {np.shape(originals)} and {np.shape(reconstructions)}"
        )
    if columns is not None and columns < 1:
        raise InputError(f"columns must be at least 1, got {columns}")
    columns = min(columns or _columns_of_pairs(len(above)), len(above))
    tiles, exists = _paired(above, below, columns)
    bands = len(tiles) // 2
    return Mosaic(
        tiles=np.where(exists[..., None, None, None], tiles, np.uint8(255)),
        title=title,
        width=min(width - _NAMES_WIDTH, 200 * columns),
        row_names=["original", "reconstruction"] * bands,
        wide_after_rows=frozenset(range(1, 2 * bands - 1, 2)),
    ).draw()


def reconstruction_frames(
    originals: ArrayLike,
    reconstructions_per_epoch: Sequence[ArrayLike],
    epochs: Sequence[int],
    mse_per_epoch: Sequence[float] | None = None,
    *,
    title: str = "Test reconstructions",
    width: int = FRAME_WIDTH,
) -> list[Picture]:
    """One ``reconstruction_grid`` for each epoch, of the same originals; all frames have one size.

    Args:
        originals: (N, H, W, C).
        reconstructions_per_epoch: for each epoch (N, H, W, C).
        epochs: the number of each epoch, for the title.
        mse_per_epoch: mean squared error over pixels in [0, 1] of each epoch, for the title; NaN or None
            shows none.
        title: what the frames show, before the epoch.

    Raises:
        InputError: if the sequences differ in length, or as ``reconstruction_grid``.
    """
    mse = [float("nan")] * len(epochs) if mse_per_epoch is None else list(mse_per_epoch)
    if not len(reconstructions_per_epoch) == len(epochs) == len(mse):
        raise InputError(
            "one set of reconstructions, one epoch and one MSE belong to a frame, "
            f"got {len(reconstructions_per_epoch)}, {len(epochs)} and {len(mse)}"
        )
    return [
        reconstruction_grid(
            originals,
            reconstructions,
            title=f"{title} · epoch {epoch}" + (f" · MSE {error:.4f}" if np.isfinite(error) else ""),
            width=width,
        )
        for reconstructions, epoch, error in zip(reconstructions_per_epoch, epochs, mse, strict=True)
    ]


def _paired(
    above: NDArray[np.uint8], below: NDArray[np.uint8], columns: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Alternating rows of originals and reconstructions, and which places hold an image."""
    pairs = np.stack([in_rows(above, columns), in_rows(below, columns)], axis=1)
    exists = (np.arange(pairs.shape[0] * columns) < len(above)).reshape(-1, 1, columns).repeat(2, axis=1)
    return pairs.reshape(-1, columns, *above.shape[1:]), exists.reshape(-1, columns)


def _columns_of_pairs(count: int) -> int:
    return count if count <= 10 else min(range(10, 5, -1), key=lambda columns: -count % columns)


def _columns_of_a_square(count: int) -> int:
    wanted = int(np.ceil(np.sqrt(count)))
    return min(range(wanted, wanted + wanted // 2 + 1), key=lambda columns: -count % columns)
