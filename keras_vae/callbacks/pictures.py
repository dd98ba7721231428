"""The pictures of a run: from its model, its test images and its frames to the files in ``plots/``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae import visualize
from keras_vae.callbacks.frames import read_frames
from keras_vae.callbacks.model_pictures import (
    interpolation_picture,
    manifold_picture_of,
    samples_picture,
    traversal_picture_of,
)
from keras_vae.data import ImageDataset
from keras_vae.models import VAE, Sampler
from keras_vae.models.samplers import COMPONENTS
from keras_vae.training.posteriors import fit_mixture
from keras_vae.training.run_directory import RunDirectory, metrics_by_name

SAMPLES = 100
INTERPOLATIONS, INTERPOLATION_STEPS = 10, 11


class Pictures(keras.callbacks.Callback):
    """Writes every picture of the run when training ends.

    Args:
        run: where they go, and where the metrics and frames are.
        dataset: whose training images the Gaussian mixture is fitted to.
        images: uint8 (N, H, W, C), the test images that `EpochPosteriors` was given.
        labels: int32 (N,), their classes, or None.
        seed: of what is drawn at random.
    """

    def __init__(
        self,
        run: RunDirectory,
        dataset: ImageDataset,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int32] | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.run = run
        self.dataset = dataset
        self.images = images
        self.labels = labels
        self.seed = seed

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        vae = self.model.inference_vae
        components = min(COMPONENTS, self.dataset.train.count)
        mixture = fit_mixture(vae, self.dataset.train, components, self.seed)
        write_pictures(
            self.run, vae, self.images, self.labels, self.dataset.class_names, mixture=mixture, seed=self.seed
        )


def write_pictures(
    run: RunDirectory,
    vae: VAE,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32] | None,
    class_names: tuple[str, ...] | None,
    *,
    mixture: Sampler | None = None,
    seed: int,
) -> None:
    """Write ``plots/``: metric curves, both GIFs and their last frames, samples, interpolation, manifold, traversal.

    Args:
        run: whose metrics.csv and frames are drawn.
        vae: the model to sample from.
        images: uint8 (N, H, W, C), the test images that `EpochPosteriors` was given.
        labels: int32 (N,), their classes, or None.
        class_names: one name a label.
        mixture: fitted to the training posteriors, for ``samples_gmm.png``; None leaves that out.
        seed: of what is drawn at random.
    """
    write_curves(run)
    means, kl_per_dimension = write_gifs(run, images, labels, class_names)
    pictures = {
        "samples": samples_picture(vae, SAMPLES, seed, class_names=class_names),
        "interpolation": interpolation_picture(vae, images, means, INTERPOLATIONS, INTERPOLATION_STEPS, seed, labels),
        "latent_manifold": manifold_picture_of(vae, means),
        "traversal": traversal_picture_of(vae, kl_per_dimension),
    }
    if mixture is not None:
        pictures["samples_gmm"] = samples_picture(vae, SAMPLES, seed, mixture, class_names=class_names)
    for name, picture in pictures.items():
        visualize.write_png(run.plots / f"{name}.png", picture)


def write_curves(run: RunDirectory) -> None:
    """``train_plots.png`` and ``test_plots.png`` from metrics.csv."""
    rows = run.read_metrics()
    epochs = [row["epoch"] for row in rows]
    for side in ("train", "test"):
        picture = visualize.metric_curves(epochs, metrics_by_name(rows, side), title=f"{run.path.name} · {side}")
        visualize.write_png(run.plots / f"{side}_plots.png", picture)


def write_gifs(
    run: RunDirectory,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32] | None,
    class_names: tuple[str, ...] | None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Both GIFs and their last frames as PNG; returns the last epoch's posterior means and KL of each dimension."""
    epochs, frames = read_frames(run.frames, up_to_epoch=run.read_metrics()[-1]["epoch"])
    kl, mse = ([float(value) for value in frames[name]] for name in ("kl", "mse"))
    shown = len(frames["reconstructions"][0])
    gifs = {
        "test_latent_visualization": visualize.latent_frames(frames["means"], labels, epochs, kl, class_names),
        "sample_test_reconstruction": visualize.reconstruction_frames(
            images[:shown], frames["reconstructions"], epochs, mse
        ),
    }
    for name, pictures in gifs.items():
        visualize.write_gif(run.plots / f"{name}.gif", pictures)
        visualize.write_png(run.plots / f"{name}.png", pictures[-1])
    return frames["means"][-1], frames["kl_per_dimension"][-1]
