"""Posteriors and reconstructions of the test images after each epoch, for the callbacks that draw and write them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae.losses import kl_per_dimension
from keras_vae.metrics import active_units


class EpochPosteriors(keras.callbacks.Callback):
    """Encodes test images after each epoch and puts ``val_active_units`` into the logs, but not for codes.

    Callbacks that come later in the list read ``means`` and ``log_vars``, float32 (N, latent_dim), and
    ``reconstructions``, float32 (M, H, W, C) in [0, 1], of the first images through their posterior mean. ``has_kl``
    says whether the posteriors have a variance, and so a KL for each dimension.

    Args:
        images: uint8 (N, H, W, C), the test images to encode.
        labels: int32 (N,), for a conditional model.
        shown: M, how many of the first images are reconstructed.
        batch_size: images encoded at a time.
    """

    means: npt.NDArray[np.float32]
    log_vars: npt.NDArray[np.float32]
    reconstructions: npt.NDArray[np.float32]

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int32] | None,
        shown: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.shown = shown
        self.batch_size = batch_size
        self.has_kl = True

    @property
    def originals(self) -> npt.NDArray[np.uint8]:
        """The originals of ``reconstructions``, uint8 (M, H, W, C)."""
        return self.images[: self.shown]

    @property
    def kl_per_dimension(self) -> npt.NDArray[np.float32]:
        """KL of each latent dimension in nats, the mean over the images: float32 (latent_dim,); zeros without a KL."""
        if not self.has_kl:
            return np.zeros(self.means.shape[1], np.float32)
        return keras.ops.convert_to_numpy(kl_per_dimension(self.means, self.log_vars)).mean(axis=0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        vae = self.model.inference_vae
        self.has_kl = vae.variational
        labels = self.labels if vae.num_classes is not None else None
        posteriors = []
        for start in range(0, len(self.images), self.batch_size):
            part = slice(start, start + self.batch_size)
            posterior = vae.encode_flat(_to_float(self.images[part]), None if labels is None else labels[part])
            posteriors.append([keras.ops.convert_to_numpy(parameter) for parameter in posterior])
        self.means, self.log_vars = (np.concatenate(parameters) for parameters in zip(*posteriors, strict=True))
        self.reconstructions = keras.ops.convert_to_numpy(
            vae.decode(self.means[: self.shown], None if labels is None else labels[: self.shown])
        )
        has_codes = vae.bottleneck.code_shape is not None
        if logs is not None and len(self.means) > 1 and not has_codes:  # one mean has no variance
            logs["val_active_units"] = active_units(self.means)


def _to_float(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)
