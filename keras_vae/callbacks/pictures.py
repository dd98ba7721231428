"""The pictures in ``plots/``, drawn from a run's model, test images and frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae import visualize
from keras_vae.callbacks.attempts import Attempts
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
from keras_vae.visualize.style import Picture

SAMPLES = 100
INTERPOLATIONS, INTERPOLATION_STEPS = 10, 11


class Pictures(keras.callbacks.Callback):
    """Draws every picture of the run when training ends.

    Args:
        run: has the metrics and frames, and receives the pictures.
        dataset: its training images give the Gaussian mixture.
        images: uint8 (N, H, W, C), the test images that `EpochPosteriors` was given.
        labels: int32 (N,), their classes, or None.
        seed: for everything that is drawn at random.
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
        vae, attempts = self.model.inference_vae, Attempts()
        components = min(COMPONENTS, self.dataset.train.count)
        mixture = None
        with attempts.at("samples_gmm.png"):
            mixture = fit_mixture(vae, self.dataset.train, components, self.seed)
        write_pictures(
            self.run,
            vae,
            self.images,
            self.labels,
            self.dataset.class_names,
            mixture=mixture,
            seed=self.seed,
            attempts=attempts,
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
    attempts: Attempts | None = None,
) -> None:
    """Write ``plots/``: metric curves, both GIFs and their last frames, samples, interpolation, manifold, traversal.

    A picture that cannot be drawn is left out with a warning. The interpolation needs two test images. Codes
    have neither manifold nor traversal, since no z between them is ever decoded in training.

    Args:
        run: has the metrics.csv and the frames to draw.
        vae: the model to sample from.
        images: uint8 (N, H, W, C), the test images that `EpochPosteriors` was given.
        labels: int32 (N,), their classes, or None.
        class_names: one name for each label.
        mixture: fitted to the training posteriors, for ``samples_gmm.png``; None leaves that out.
        seed: for everything that is drawn at random.
        attempts: warns about pictures that fail; by default on stderr.

    Raises:
        OSError: if a file cannot be written.
    """
    attempts = attempts or Attempts()
    write_curves(run, attempts)
    epochs, frames = read_frames(run.frames, up_to_epoch=run.read_metrics()[-1]["epoch"])
    write_gifs(run, epochs, frames, images, labels, class_names, attempts)
    means, kl_per_dimension = frames["means"][-1], frames["kl_per_dimension"][-1]
    draw: dict[str, Callable[[], Picture]] = {
        "samples": lambda: samples_picture(vae, SAMPLES, seed, class_names=class_names),
    }
    if vae.bottleneck.code_shape is None:
        draw["latent_manifold"] = lambda: manifold_picture_of(vae, means)
        draw["traversal"] = lambda: traversal_picture_of(vae, kl_per_dimension)
    if len(images) > 1:
        draw["interpolation"] = lambda: interpolation_picture(
            vae, images, means, INTERPOLATIONS, INTERPOLATION_STEPS, seed, labels
        )
    if mixture is not None:
        draw["samples_gmm"] = lambda: samples_picture(vae, SAMPLES, seed, mixture, class_names=class_names)
    for name, picture in draw.items():
        with attempts.at(f"{name}.png"):
            visualize.write_png(run.plots / f"{name}.png", picture())


def write_curves(run: RunDirectory, attempts: Attempts) -> None:
    """``train_plots.png`` and ``test_plots.png`` from metrics.csv."""
    rows = run.read_metrics()
    epochs = [row["epoch"] for row in rows]
    for side in ("train", "test"):
        with attempts.at(f"{side}_plots.png"):
            picture = visualize.metric_curves(epochs, metrics_by_name(rows, side), title=f"{run.path.name} · {side}")
            visualize.write_png(run.plots / f"{side}_plots.png", picture)


def write_gifs(
    run: RunDirectory,
    epochs: list[int],
    frames: dict[str, list[Any]],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32] | None,
    class_names: tuple[str, ...] | None,
    attempts: Attempts,
) -> None:
    """Both GIFs and their last frames as PNG; ``frames`` are those of `read_frames`."""
    kl, mse = ([float(value) for value in frames[name]] for name in ("kl", "mse"))
    shown = len(frames["reconstructions"][0])
    draw: dict[str, Callable[[], list[Picture]]] = {
        "test_latent_visualization": lambda: visualize.latent_frames(frames["means"], labels, epochs, kl, class_names),
        "sample_test_reconstruction": lambda: visualize.reconstruction_frames(
            images[:shown], frames["reconstructions"], epochs, mse
        ),
    }
    for name, pictures in draw.items():
        with attempts.at(f"{name}.gif"):
            drawn = pictures()
            visualize.write_gif(run.plots / f"{name}.gif", drawn)
            visualize.write_png(run.plots / f"{name}.png", drawn[-1])
