"""PatchCore: the nearest patch among those of normal images.

Roth et al. 2022, "Towards Total Recall in Industrial Anomaly Detection".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.scoring.detector import Array, Detector, Labels
from keras_vae.scoring.distances import squared_distances
from keras_vae.scoring.heat import resized, smoothed
from keras_vae.scoring.patches import batches, patch_features


@keras.saving.register_keras_serializable(package="keras_vae")
class PatchCore(Detector):
    """The distance of each patch to the nearest one of a memory, wherever it was there.

    ``heat`` is that distance, resized and smoothed. The measure ``patchcore`` is the largest distance of an image's
    patches, times ``1 - softmax`` of the distances around the nearest patch (eq. 7).

    Args:
        memory: how many patches are kept: a coreset, which covers all others best. Default 2,000.
        candidates: patches of normal images that it is chosen from, at random if there are more. Default 40,000.
        neighbours: patches around the nearest one that decide how rare it is. Default 9.
        seed: seed of all random choices. Default 0.
        statistics: as for `Detector`.
    """

    measure_names = ("patchcore",)
    # The coreset is chosen in a random projection of this many dimensions, which keeps distances within 10%.
    PROJECTED = 128

    def __init__(
        self, memory: int = 2000, candidates: int = 40_000, neighbours: int = 9, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.memory, self.candidates, self.neighbours, self.seed = memory, candidates, neighbours, seed

    def fit(self, images: Array, labels: Labels = None) -> None:
        """Choose the memory from the patches of normal images (N, H, W, C)."""
        rng = np.random.default_rng(self.seed)
        kept: list[Array] = []
        for part in batches(images):
            patches = ops.convert_to_numpy(patch_features(self.network(part)))
            patches = patches.reshape(-1, patches.shape[-1])
            share = min(1.0, self.candidates / (len(images) * len(patches) / len(part)))
            kept.append(patches[rng.random(len(patches)) < share] if share < 1 else patches)
        found = np.concatenate(kept)
        projection = rng.standard_normal((found.shape[1], self.PROJECTED), np.float32) / np.sqrt(self.PROJECTED)
        self.hold("patches", found[coreset(found @ projection, self.memory, rng)])

    def heat_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> Any:
        distances, _ = self.nearest(taps)
        return smoothed(resized(distances, *images.shape[1:3]))

    def measures_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> dict[str, Any]:
        distances, features = self.nearest(taps)
        count = ops.shape(features)[0]
        flat = ops.reshape(distances, (count, -1))
        # The patch that is farthest from the memory, and the one there that is nearest to it. By `top_k`, since LiteRT
        # lacks an operator of Keras's argmax.
        _, worst = ops.top_k(flat, 1)
        positions = ops.reshape(features, (count, -1, features.shape[-1]))
        patch = ops.take_along_axis(positions, worst[..., None], axis=1)[:, 0]
        around = min(self.neighbours, self.patches.shape[0])
        _, place = ops.top_k(-squared_distances(patch, self.patches), 1)
        nearest = ops.take(self.patches, place[:, 0], axis=0)
        _, indices = ops.top_k(-squared_distances(nearest, self.patches), around)
        to_neighbours = ops.norm(patch[:, None] - ops.take(self.patches, indices, axis=0), axis=-1)
        farthest = ops.max(flat, axis=1)
        # exp(d*) / Σ exp(d), with the largest distance taken off both; distances are in units of their dimension.
        scaled = to_neighbours / float(np.sqrt(self.patches.shape[1]))
        weight = 1 - ops.exp(scaled[:, 0] - ops.logsumexp(scaled, axis=1)) if around > 1 else 1.0
        return {"patchcore": farthest * weight}

    def nearest(self, taps: Sequence[Any]) -> tuple[Any, Any]:
        """Of each position the distance to the nearest patch of the memory (N, h, w), and the features."""
        features = patch_features(taps)
        _, height, width, dimensions = features.shape
        squared = ops.min(squared_distances(ops.reshape(features, (-1, dimensions)), self.patches), axis=1)
        return ops.reshape(ops.sqrt(squared), (-1, height, width)), features

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "memory": self.memory,
            "candidates": self.candidates,
            "neighbours": self.neighbours,
            "seed": self.seed,
        }


def coreset(points: Array, size: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """The indices of ``size`` of the points (N, D), each the farthest from those before it.

    The greedy k-center choice, whose largest distance to a point is within a factor of 2 of the best (Gonzalez 1985).
    """
    if len(points) <= size:
        return np.arange(len(points))
    chosen = np.empty(size, np.intp)
    chosen[0] = rng.integers(len(points))
    squares = np.einsum("nd,nd->n", points, points)
    distances = np.full(len(points), np.inf, np.float32)
    for place in range(size):
        if place:
            chosen[place] = np.argmax(distances)
        center = points[chosen[place]]
        np.minimum(distances, squares - 2 * (points @ center) + center @ center, out=distances)
    return chosen
