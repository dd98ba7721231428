"""What the GIFs are made of: after each epoch, posterior means of test images and reconstructions of a few."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae.files import written_beside

_NAME = re.compile(r"epoch_(\d+)\.npz")


class LatentFrames(keras.callbacks.Callback):
    """Writes ``epoch_0001.npz`` …: ``means`` (N, latent_dim), ``reconstructions`` uint8 (M, H, W, C), ``kl``, ``mse``.

    Args:
        folder: where the files go.
        images: float32 (N, H, W, C) in [0, 1], the test images whose posterior means are kept.
        labels: int32 (N,), for a conditional model.
        shown: how many of them, from the front, are reconstructed.
        batch_size: images encoded at a time.
    """

    def __init__(
        self,
        folder: Path,
        images: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int32] | None,
        shown: int,
        batch_size: int,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.images = images
        self.labels = labels
        self.shown = shown
        self.batch_size = batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        vae = self.model.inference_vae
        labels = self.labels if vae.num_classes is not None else None
        means = []
        for start in range(0, len(self.images), self.batch_size):
            part = slice(start, start + self.batch_size)
            mean, _ = vae.encode(self.images[part], None if labels is None else labels[part])
            means.append(keras.ops.convert_to_numpy(mean))
        shown = vae.reconstruct(self.images[: self.shown], None if labels is None else labels[: self.shown])
        with written_beside(self.folder / f"epoch_{epoch + 1:04d}.npz") as beside:
            np.savez_compressed(
                beside,
                means=np.concatenate(means),
                reconstructions=np.round(keras.ops.convert_to_numpy(shown) * 255).astype(np.uint8),
                kl=np.float32(logs.get("val_kl", np.nan)),
                mse=np.float32(logs.get("val_mse", np.nan)),
            )


def read_frames(folder: Path, up_to_epoch: int) -> tuple[list[int], dict[str, list[Any]]]:
    """The epochs of the frames in ``folder`` up to ``up_to_epoch``, and each array's values in that order."""
    found = sorted((int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)))
    found = [(epoch, path) for epoch, path in found if epoch <= up_to_epoch]
    values: dict[str, list[Any]] = {}
    for _, path in found:
        with np.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                values.setdefault(name, []).append(arrays[name])
    return [epoch for epoch, _ in found], values
