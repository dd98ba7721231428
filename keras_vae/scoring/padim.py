"""PaDiM: a Gaussian of VGG16's features at each position.

Defard et al. 2021, "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and Localization".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.scoring.detector import Array, Detector, Labels
from keras_vae.scoring.heat import resized, smoothed
from keras_vae.scoring.patches import batches, patch_features


@keras.saving.register_keras_serializable(package="keras_vae")
class PaDiM(Detector):
    """The Mahalanobis distance of each position's features to those of normal images there.

    For images of one kind in one place, such as parts under a camera. ``heat`` is the distance, resized and smoothed,
    and the measure ``padim`` is its maximum.

    Args:
        dimensions: how many of the 384 features are kept, chosen at random. Default 100, as in the paper.
        seed: seed of that choice. Default 0.
        statistics: as for `Detector`.
    """

    measure_names = ("padim",)
    # Of the paper: added to each variance, so that few images give an invertible covariance.
    REGULARIZATION = 0.01

    def __init__(self, dimensions: int = 100, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dimensions, self.seed = dimensions, seed

    def fit(self, images: Array, labels: Labels = None) -> None:
        """Take mean and covariance of every position over normal images (N, H, W, C), N of at least 2."""
        chosen = np.sort(np.random.default_rng(self.seed).permutation(384)[: self.dimensions])
        count, total, products = 0, 0.0, 0.0
        for part in batches(images):
            features = ops.convert_to_numpy(patch_features(self.network(part)))[..., chosen].astype(np.float64)
            count += len(part)
            total += features.sum(axis=0)
            products += np.einsum("nhwi,nhwj->hwij", features, features, optimize=True)
        mean = total / count
        covariance = (products - count * np.einsum("hwi,hwj->hwij", mean, mean)) / max(count - 1, 1)
        covariance += self.REGULARIZATION * np.eye(len(chosen))
        # With Σ⁻¹ = L Lᵀ, the distance is the norm of Lᵀ (x - mean).
        self.hold("chosen", chosen)
        self.hold("mean", mean)
        self.hold("factor", np.linalg.cholesky(np.linalg.inv(covariance)))

    def distances(self, taps: Sequence[Any]) -> Any:
        """The Mahalanobis distance of each position of the grid, (N, h, w)."""
        features = ops.take(patch_features(taps), ops.cast(self.chosen, "int32"), axis=-1) - self.mean
        return ops.norm(ops.einsum("nhwi,hwij->nhwj", features, self.factor), axis=-1)

    def heat_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> Any:
        return smoothed(resized(self.distances(taps), *images.shape[1:3]))

    def measures_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> dict[str, Any]:
        return {"padim": ops.max(self.heat_of(images, labels, taps), axis=(1, 2))}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dimensions": self.dimensions, "seed": self.seed}
