"""Walks through the latent space: between pairs of codes and along each dimension.

Reference: White 2016, "Sampling Generative Networks".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_vae.errors import InputError
from keras_vae.visualize.mosaic import Mosaic, image_batch
from keras_vae.visualize.projection import latent_codes
from keras_vae.visualize.style import PLOT_WIDTH, Picture, latent_name, signed

# Below this angle (radians) an arc and its chord differ by less than float32 can hold.
_SMALLEST_ANGLE = 1e-4


def linear_interpolation(start: ArrayLike, end: ArrayLike, steps: int) -> NDArray[np.float32]:
    """Straight lines from ``start`` to ``end``, both (N, L), ends included: float32 (N, steps, L).

    Raises:
        InputError: if the shapes differ or ``steps`` is below 2.
    """
    first, last, t = _walk(start, end, steps)
    return _with_exact_ends(first + (last - first) * t, start, end)


def slerp(start: ArrayLike, end: ArrayLike, steps: int) -> NDArray[np.float32]:
    """Spherical interpolation: the direction turns at constant speed, the norm changes linearly.

    For ends of equal norm it is White's formula, ``sin((1−t)Ω)/sin Ω · start + sin(tΩ)/sin Ω · end``. For
    unequal norms that formula leaves the region of the prior when the ends are nearly opposite (it divides by
    sin Ω); this one never exceeds the larger norm. Ends that are nearly parallel, or where one is nearly
    zero, are joined by a straight line. Opposite ends have no unique arc: a fixed one is taken.

    Args:
        start, end: (N, L).
        steps: codes on each walk, at least 2, ends included and exact.

    Returns:
        float32, (N, steps, L).

    Raises:
        InputError: if the shapes differ or ``steps`` is below 2.
    """
    first, last, t = _walk(start, end, steps)
    first_norm, last_norm = (np.linalg.norm(ends, axis=-1, keepdims=True) for ends in (first, last))
    smallest = np.finfo(np.float32).tiny
    is_zero = (first_norm < smallest) | (last_norm < smallest)
    from_, to = first / np.maximum(first_norm, smallest), last / np.maximum(last_norm, smallest)
    # Exact for small and for large angles, where arccos of the dot product is not (Kahan 2006, "How futile
    # are mindless assessments of roundoff", section 12).
    angle = 2 * np.arctan2(
        np.linalg.norm(to - from_, axis=-1, keepdims=True), np.linalg.norm(to + from_, axis=-1, keepdims=True)
    )
    across = _perpendicular(from_, to, np.pi - angle < _SMALLEST_ANGLE)
    norm = first_norm + (last_norm - first_norm) * t
    arc = norm * (np.cos(t * angle) * from_ + np.sin(t * angle) * across)
    has_no_arc = is_zero | (angle < _SMALLEST_ANGLE) | (first.shape[-1] == 1)
    return _with_exact_ends(np.where(has_no_arc, first + (last - first) * t, arc), start, end)


def interpolation_picture(
    images: ArrayLike,
    originals: ArrayLike | None = None,
    *,
    title: str = "Spherical interpolation between pairs of posterior means",
    width: int = PLOT_WIDTH,
) -> Picture:
    """Decoded walks, one in each row, from t = 0 to t = 1.

    Args:
        images: (N, steps, H, W, C), float in [0, 1] or uint8.
        originals: (N, 2, H, W, C), the images that each walk starts and ends at, shown at its sides.
        title: above the picture.
        width: width to aim at, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: if the shapes do not match.
    """
    tiles = image_batch(images, "images", axes=5)
    steps = tiles.shape[1]
    names = [f"t = {signed(t)}" for t in np.linspace(0, 1, steps)]
    wide_after: frozenset[int] = frozenset()
    if originals is not None:
        ends = image_batch(originals, "originals", axes=5)
        if ends.shape != (len(tiles), 2, *tiles.shape[2:]):
            raise InputError(f"originals: expected {len(tiles)} pairs of the images' size, got {np.shape(originals)}")
        tiles = np.concatenate([ends[:, :1], tiles, ends[:, 1:]], axis=1)
        names = ["original", *names, "original"]
        wide_after = frozenset({0, steps})
    return Mosaic(
        tiles=tiles,
        title=title,
        width=min(width, 140 * tiles.shape[1]),
        column_names=names,
        wide_after_columns=wide_after,
    ).draw()


def traversal_latents(
    latent_dim: int,
    *,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 13,
    dimensions: Sequence[int] | None = None,
    base: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Codes in which one dimension at a time goes from ``low`` to ``high``.

    Args:
        latent_dim: L, size of the latent.
        low, high: the ends, in standard deviations of the prior.
        steps: codes on each walk, at least 2.
        dimensions: which to walk along, counted from 0. Default: each.
        base: (L,), the values of the other dimensions. Default: 0, the prior's mean.

    Returns:
        float32, (number of dimensions, steps, L).

    Raises:
        InputError: if a number is out of range or ``base`` has another shape.
    """
    chosen = list(range(latent_dim)) if dimensions is None else list(dimensions)
    if not chosen or not all(0 <= dimension < latent_dim for dimension in chosen):
        raise InputError(f"dimensions must be 0 to {latent_dim - 1}, at least one, got {chosen}")
    if steps < 2:
        raise InputError(f"steps must be at least 2, got {steps}")
    others = np.zeros(latent_dim, np.float32) if base is None else np.asarray(base, np.float32)
    if others.shape != (latent_dim,):
        raise InputError(f"base: expected shape ({latent_dim},), got {others.shape}")
    z = np.tile(others, (len(chosen), steps, 1))
    z[np.arange(len(chosen)), :, chosen] = np.linspace(low, high, steps, dtype=np.float32)
    return z


def traversal_picture(
    images: ArrayLike,
    *,
    low: float = -3.0,
    high: float = 3.0,
    row_names: Sequence[str] | None = None,
    title: str = "Latent traversal: one dimension at a time, the others fixed",
    width: int = PLOT_WIDTH,
) -> Picture:
    """Decoded images of ``traversal_latents``: a row for each dimension, a column for each value.

    Args:
        images: (number of dimensions, steps, H, W, C), float in [0, 1] or uint8.
        low, high: the values given to ``traversal_latents``.
        row_names: a name for each row, such as "z₃, KL 1.2 nats". Default: z₀, z₁ …
        title: above the picture.
        width: width to aim at, pixels.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        InputError: if the shapes do not match.
    """
    tiles = image_batch(images, "images", axes=5)
    names = [latent_name(dimension) for dimension in range(len(tiles))] if row_names is None else list(row_names)
    if len(names) != len(tiles):
        raise InputError(f"row_names: expected {len(tiles)} names, got {len(names)}")
    return Mosaic(
        tiles=tiles,
        title=title,
        width=min(width - 60, 120 * tiles.shape[1]),
        row_names=names,
        column_names=[signed(value, 1) for value in np.linspace(low, high, tiles.shape[1])],
    ).draw()


def _walk(
    start: ArrayLike, end: ArrayLike, steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Both ends as float64 (N, 1, L) and the time in [0, 1] as (steps, 1)."""
    first, last = latent_codes(start), latent_codes(end)
    if first.shape != last.shape:
        raise InputError(f"start and end must have the same shape, got {first.shape} and {last.shape}")
    if steps < 2:
        raise InputError(f"steps must be at least 2, got {steps}")
    return first[:, None], last[:, None], np.linspace(0, 1, steps)[:, None]


def _perpendicular(
    from_: NDArray[np.float64], to: NDArray[np.float64], is_opposite: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The unit vector at right angles to ``from_`` towards ``to``; for opposite ones, to a fixed axis."""
    least = np.eye(from_.shape[-1])[np.abs(from_).argmin(axis=-1)]
    towards = np.where(is_opposite, least, to)
    across = towards - (towards * from_).sum(axis=-1, keepdims=True) * from_
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    return across / np.where(length > 0, length, 1)


def _with_exact_ends(codes: NDArray[np.float64], start: ArrayLike, end: ArrayLike) -> NDArray[np.float32]:
    walks = codes.astype(np.float32)
    walks[:, 0], walks[:, -1] = start, end
    return walks
