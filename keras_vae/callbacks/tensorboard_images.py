"""The pictures of an epoch for TensorBoard's image dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_vae import visualize
from keras_vae.callbacks.history import TEST_PREFIX
from keras_vae.callbacks.model_pictures import manifold_picture_of, samples_picture
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.models import VAE
from keras_vae.visualize.style import FRAME_WIDTH, Picture

SAMPLES = 64


class EpochImages:
    """Originals over reconstructions, samples of the prior, the latent plot and, at a latent of 2, the manifold.

    Args:
        posteriors: of the epoch.
        class_names: one name a label.
        seed: of the samples, which stay the draws of the same z throughout.
    """

    def __init__(self, posteriors: EpochPosteriors, class_names: tuple[str, ...] | None, seed: int) -> None:
        self.posteriors = posteriors
        self.class_names = class_names
        self.seed = seed

    def draw(self, vae: VAE, epoch: int, logs: Mapping[str, Any]) -> dict[str, Picture]:
        """Name → uint8 RGB (H, W, 3); ``logs`` are those of the epoch, counted from 0."""
        posteriors = self.posteriors
        kl, mse = (float(logs.get(f"{TEST_PREFIX}{name}", np.nan)) for name in ("kl", "mse"))
        (latent,) = visualize.latent_frames([posteriors.means], posteriors.labels, [epoch + 1], [kl], self.class_names)
        (reconstructions,) = visualize.reconstruction_frames(
            posteriors.originals, [posteriors.reconstructions], [epoch + 1], [mse]
        )
        pictures = {
            "reconstructions": reconstructions,
            "samples": samples_picture(vae, SAMPLES, self.seed, class_names=self.class_names, width=FRAME_WIDTH),
            "latent_plot": latent,
        }
        if vae.latent_dim == 2:
            pictures["latent_manifold"] = manifold_picture_of(vae, posteriors.means, width=FRAME_WIDTH)
        return pictures
