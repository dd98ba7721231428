"""The pictures of an epoch for TensorBoard's image dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_vae import visualize
from keras_vae.callbacks.attempts import Attempts
from keras_vae.callbacks.history import TEST_PREFIX
from keras_vae.callbacks.model_pictures import manifold_picture_of, samples_picture
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.models import VAE
from keras_vae.visualize.style import FRAME_WIDTH, Picture

SAMPLE_COUNT = 64
# Each picture is in the group of the scalars that it belongs to.
RECONSTRUCTIONS = "reconstruction/images"
SAMPLES = "samples/prior"
LATENT_PLOT = "z/latent_plot"
MANIFOLD = "z/latent_manifold"


class EpochImages:
    """Originals over reconstructions, samples of the prior, the latent plot, and the manifold of a latent vector of 2.

    A latent of codes has no manifold. A picture that cannot be drawn is left out, with one warning.

    Args:
        posteriors: of the epoch.
        class_names: one name for each label.
        seed: of the samples, whose z are the same in every epoch.
    """

    def __init__(self, posteriors: EpochPosteriors, class_names: tuple[str, ...] | None, seed: int) -> None:
        self.posteriors = posteriors
        self.class_names = class_names
        self.seed = seed
        self._attempts = Attempts()

    def draw(self, vae: VAE, epoch: int, logs: Mapping[str, Any]) -> dict[str, Picture]:
        """Tag → uint8 RGB (H, W, 3); ``logs`` are those of the epoch, counted from 0."""
        posteriors = self.posteriors
        kl, mse = (float(logs.get(f"{TEST_PREFIX}{name}", np.nan)) for name in ("kl", "mse"))
        draw: dict[str, Callable[[], Picture]] = {
            RECONSTRUCTIONS: lambda: visualize.reconstruction_frames(
                posteriors.originals, [posteriors.reconstructions], [epoch + 1], [mse]
            )[0],
            SAMPLES: lambda: samples_picture(
                vae, SAMPLE_COUNT, self.seed, class_names=self.class_names, width=FRAME_WIDTH
            ),
            LATENT_PLOT: lambda: visualize.latent_frames(
                [posteriors.means], posteriors.labels, [epoch + 1], [kl], self.class_names
            )[0],
        }
        if vae.latent_dim == 2 and vae.bottleneck.code_shape is None:
            draw[MANIFOLD] = lambda: manifold_picture_of(vae, posteriors.means, width=FRAME_WIDTH)
        pictures = {}
        for tag, picture in draw.items():
            with self._attempts.at(f"TensorBoard's {tag}"):
                pictures[tag] = picture()
        return pictures
