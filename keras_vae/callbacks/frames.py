"""The data behind the GIFs: posterior means of test images and some reconstructions, after each epoch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.files import written_beside

_NAME = re.compile(r"epoch_(\d+)\.npz")


class LatentFrames(keras.callbacks.Callback):
    """Writes ``epoch_0001.npz`` …, each with the arrays of `EpochPosteriors` and the epoch's test metrics.

    ``means`` (N, latent_dim), ``reconstructions`` uint8 (M, H, W, C), ``kl_per_dimension`` (latent_dim,); ``kl``,
    ``mse`` ().

    Args:
        folder: where the files go.
        posteriors: the arrays to write; comes before this callback in the list.
    """

    def __init__(self, folder: Path, posteriors: EpochPosteriors) -> None:
        super().__init__()
        self.folder = folder
        self.posteriors = posteriors

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        with written_beside(self.folder / f"epoch_{epoch + 1:04d}.npz") as beside:
            np.savez_compressed(
                beside,
                means=self.posteriors.means,
                reconstructions=np.round(self.posteriors.reconstructions * 255).astype(np.uint8),
                kl_per_dimension=self.posteriors.kl_per_dimension,
                kl=np.float32(logs.get("val_kl", np.nan)),
                mse=np.float32(logs.get("val_mse", np.nan)),
            )


def read_frames(folder: Path, up_to_epoch: int) -> tuple[list[int], dict[str, list[Any]]]:
    """The epochs of the frames in ``folder``, up to ``up_to_epoch``, and the values of each array in that order."""
    found = sorted((int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    found = [(epoch, path) for epoch, path in found if epoch <= up_to_epoch]
    values: dict[str, list[Any]] = {}
    for _, path in found:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                values.setdefault(name, []).append(arrays[name])
    return [epoch for epoch, _ in found], values
