"""The latent manifold: quantiles of the prior through the decoder (Kingma & Welling 2014, fig. 4)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from keras_vae.errors import InputError
from keras_vae.visualize.mosaic import Mosaic, image_batch, in_rows
from keras_vae.visualize.style import PLOT_WIDTH, Picture, latent_name, signed

DEFAULT_STEPS = 20


def manifold_quantiles(steps: int = DEFAULT_STEPS) -> NDArray[np.float32]:
    """The middles of ``steps`` equally probable parts of the standard normal, ascending: float32 (steps,).

    Raises:
        InputError: if ``steps`` is below 1.
    """
    if steps < 1:
        raise InputError(f"steps must be at least 1, got {steps}")
    return norm.ppf((np.arange(steps) + 0.5) / steps).astype(np.float32)


def manifold_latents(
    latent_dim: int, *, steps: int = DEFAULT_STEPS, dimensions: tuple[int, ...] | None = None
) -> NDArray[np.float32]:
    """Latent codes on a grid of the prior's quantiles, in the order of ``manifold_picture``'s images.

    Args:
        latent_dim: L, size of the latent.
        steps: codes along each dimension.
        dimensions: the two dimensions, counted from 0: the first grows to the right, the second upwards; the
            others stay 0. One dimension makes a single row. Default: (0, 1), or (0,) where L is 1.

    Returns:
        float32, (steps · steps, L), or (steps, L) for one dimension.

    Raises:
        InputError: if a dimension is not one of the latent's.
    """
    dimensions = dimensions if dimensions is not None else tuple(range(min(latent_dim, 2)))
    if len(dimensions) not in (1, 2) or len(set(dimensions)) < len(dimensions):
        raise InputError(f"a manifold spans one or two different dimensions, got {dimensions}")
    if not all(0 <= dimension < latent_dim for dimension in dimensions):
        raise InputError(f"dimensions must be 0 to {latent_dim - 1}, got {dimensions}")
    quantiles = manifold_quantiles(steps)
    if len(dimensions) == 1:
        z = np.zeros((steps, latent_dim), np.float32)
        z[:, dimensions[0]] = quantiles
        return z
    z = np.zeros((steps, steps, latent_dim), np.float32)
    z[:, :, dimensions[0]] = quantiles
    # The picture's first row is its upper edge: the largest value.
    z[:, :, dimensions[1]] = quantiles[::-1, None]
    return z.reshape(-1, latent_dim)


def manifold_picture(
    images: ArrayLike,
    *,
    dimensions: tuple[int, ...] = (0, 1),
    title: str = "Latent manifold: quantiles of the prior",
    width: int = PLOT_WIDTH,
) -> Picture:
    """Decoded images of ``manifold_latents``, with the values of z on the axes.

    Args:
        images: (steps · steps, H, W, C), or (steps, H, W, C) for one dimension; float in [0, 1] or uint8.
        dimensions: those given to ``manifold_latents``.
        title: above the picture.
        width: width to aim at, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: if the number of images is not a square (two dimensions), or they are not images.
    """
    rgb = image_batch(images, "images")
    is_plane = len(dimensions) == 2
    steps = round(len(rgb) ** 0.5) if is_plane else len(rgb)
    if is_plane and steps * steps != len(rgb):
        raise InputError(f"images: a manifold of two dimensions has steps × steps images, got {len(rgb)}")
    values = [signed(float(value)) for value in manifold_quantiles(steps)]
    return Mosaic(
        tiles=in_rows(rgb, steps),
        title=title,
        width=min(width - 200, 120 * steps),
        row_names=values[::-1] if is_plane else (),
        column_names=values,
        names_below=True,
        column_axis=latent_name(dimensions[0]),
        row_axis=latent_name(dimensions[1]) if is_plane else "",
        gap=1,
    ).draw()
