"""Fréchet distance between two sets of images, as in FID, on features for small images.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (FID).
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.errors import InputError
from keras_vae.losses import VGG16Features

Tensor = Any  # a tensor of whichever Keras backend runs

TAPS = 3  # relu3_3: the last activation of VGG16's third block, and the last of the bundled weights


def frechet_distance(features: npt.ArrayLike, other_features: npt.ArrayLike) -> float:
    """``‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½)`` for Gaussians fitted to two sets of features, in float64.

    Covariances are divided by N - 1 and may be singular, with fewer rows than columns.

    Args:
        features: (N, D), N of at least 2.
        other_features: (M, D), M of at least 2.

    Raises:
        InputError: when the arrays do not have these shapes.

    Reference: Heusel et al. 2017, eq. 6 (their d²).
    """
    rows, other_rows = np.asarray(features, np.float64), np.asarray(other_features, np.float64)
    for given in (rows, other_rows):
        if given.ndim != 2 or len(given) < 2:
            raise InputError(f"the Fréchet distance needs features (N, D) of at least 2 images, got {given.shape}")
    if rows.shape[1] != other_rows.shape[1]:
        raise InputError(
            f"the Fréchet distance needs features of one width, got {rows.shape[1]} and {other_rows.shape[1]}"
        )
    factor, other_factor = _covariance_factor(rows), _covariance_factor(other_rows)
    # tr (Σ₁Σ₂)^½ is the sum of the singular values of R₁R₂ᵀ. A square root of the product would fail if a covariance is
    # singular, because rounding makes some eigenvalues slightly negative.
    trace_of_root = np.linalg.svd(factor @ other_factor.T, compute_uv=False).sum()
    difference = rows.mean(axis=0) - other_rows.mean(axis=0)
    distance = difference @ difference + np.square(factor).sum() + np.square(other_factor).sum() - 2 * trace_of_root
    return max(float(distance), 0.0)  # for equal sets, the terms cancel up to rounding


def position_means(activations: Tensor) -> Tensor:
    """The mean over positions of activations (N, H, W, C): (N, C) float32."""
    return ops.mean(ops.cast(activations, "float32"), axis=(1, 2))


def frechet_features(images: npt.ArrayLike, batch_size: int = 256) -> npt.NDArray[np.float32]:
    """Features of images for `frechet_distance`: VGG16's relu3_3, averaged over positions.

    FID uses Inception's features, which are made for photographs of 299×299. Compare these distances with each other,
    and not with published FIDs.

    Args:
        images: (N, H, W, C), floats in [0, 1] or uint8, C of 1 or 3, H and W of at least 4.
        batch_size: images in the network at a time.

    Returns:
        (N, 256).

    Raises:
        InputError: as `VGG16Features`.
    """
    images = np.asarray(images)
    network = VGG16Features("bundled", TAPS, dtype="float32")
    starts = range(0, len(images), batch_size)
    batches = (position_means(network(images[start : start + batch_size])[-1]) for start in starts)
    return np.concatenate([keras.ops.convert_to_numpy(batch) for batch in batches])


def _covariance_factor(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """R (min(N, D), D) with ``RᵀR`` the covariance of the rows (N, D)."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    # Without Q, which took three fifths of the time for the features of FID.
    return np.linalg.qr(centred, mode="r")  # type: ignore[return-value]  # NumPy's types are those of other modes
