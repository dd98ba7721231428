"""The pictures of a run: from its model, its test images and its frames to the files in ``plots/``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae import visualize
from keras_vae.callbacks.frames import read_frames
from keras_vae.models import VAE
from keras_vae.training.run_directory import RunDirectory
from keras_vae.visualize.style import Picture

MANIFOLD_STEPS = 20
SAMPLES = 100
INTERPOLATIONS, INTERPOLATION_STEPS = 10, 11


class Pictures(keras.callbacks.Callback):
    """Writes every picture of the run when training ends; arguments as `write_pictures`."""

    def __init__(
        self,
        run: RunDirectory,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int32] | None,
        class_names: tuple[str, ...] | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.run = run
        self.images = images
        self.labels = labels
        self.class_names = class_names
        self.seed = seed

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        write_pictures(self.run, self.model.inference_vae, self.images, self.labels, self.class_names, seed=self.seed)


def write_pictures(
    run: RunDirectory,
    vae: VAE,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32] | None,
    class_names: tuple[str, ...] | None,
    *,
    seed: int,
) -> None:
    """Write ``plots/``: metric curves, both GIFs and their last frames, samples, interpolation, manifold.

    Args:
        run: whose metrics.csv and frames are drawn.
        vae: the model to sample from.
        images: uint8 (N, H, W, C), the test images that `LatentFrames` was given.
        labels: int32 (N,), their classes, or None.
        class_names: one name a label.
        seed: of the samples.
    """
    write_curves(run)
    means = write_gifs(run, images, labels, class_names)
    visualize.write_png(run.plots / "samples.png", samples_picture(vae, SAMPLES, seed))
    visualize.write_png(
        run.plots / "interpolation.png",
        interpolation_picture(vae, images, means, INTERPOLATIONS, INTERPOLATION_STEPS, seed, labels),
    )
    visualize.write_png(run.plots / "latent_manifold.png", manifold_picture_of(vae, means))


def write_curves(run: RunDirectory) -> None:
    """``train_plots.png`` and ``test_plots.png`` from metrics.csv."""
    rows = run.read_metrics()
    epochs = [row["epoch"] for row in rows]
    for side in ("train", "test"):
        names = dict.fromkeys(name for row in rows for name in row if name.startswith(f"{side}_"))
        metrics = {name.removeprefix(f"{side}_"): [row.get(name, float("nan")) for row in rows] for name in names}
        title = f"{run.path.name} · {side}"
        visualize.write_png(run.plots / f"{side}_plots.png", visualize.metric_curves(epochs, metrics, title=title))


def write_gifs(
    run: RunDirectory,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int32] | None,
    class_names: tuple[str, ...] | None,
) -> npt.NDArray[np.float32]:
    """Both GIFs and their last frames as PNG; returns the posterior means of the last epoch, (N, latent_dim)."""
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
    return frames["means"][-1]


def samples_picture(vae: VAE, count: int, seed: int) -> Picture:
    """Decoded draws of the prior; of a conditional model the classes in turn."""
    labels = None if vae.num_classes is None else np.arange(count, dtype=np.int32) % vae.num_classes
    images = keras.ops.convert_to_numpy(vae.sample(count, seed=seed, labels=labels))
    return visualize.image_grid(images, title=f"Samples of the prior · latent {vae.latent_dim}")


def interpolation_picture(
    vae: VAE,
    images: npt.NDArray[Any],
    means: npt.NDArray[np.float32],
    rows: int,
    steps: int,
    seed: int,
    labels: npt.NDArray[np.int32] | None = None,
) -> Picture:
    """Spherical walks between the posterior means of pairs of images, drawn at random by ``seed``.

    A conditional model needs the images' ``labels``: a walk keeps to the class that it starts in.
    """
    pairs = np.random.default_rng(seed).permutation(len(means))[: 2 * min(rows, len(means) // 2)].reshape(2, -1)
    walks = visualize.slerp(means[pairs[0]], means[pairs[1]], steps)
    classes = None if vae.num_classes is None or labels is None else np.repeat(labels[pairs[0]], steps)
    decoded = keras.ops.convert_to_numpy(vae.decode(walks.reshape(-1, vae.latent_dim), classes))
    return visualize.interpolation_picture(
        decoded.reshape(*walks.shape[:2], *vae.image_shape), images[pairs].swapaxes(0, 1)
    )


def manifold_picture_of(vae: VAE, means: npt.NDArray[np.float32]) -> Picture:
    """The prior's quantiles through the decoder: both dimensions of a latent of 2, the two most active of a larger one.

    Of a conditional model it shows the first class.
    """
    # The variance of the posterior means measures activity (Burda et al. 2016, appendix C).
    most_active = np.sort(np.argsort(-means.var(axis=0), kind="stable")[: min(2, vae.latent_dim)])
    dimensions = tuple(int(dimension) for dimension in most_active)
    z = visualize.manifold_latents(vae.latent_dim, steps=MANIFOLD_STEPS, dimensions=dimensions)
    classes = None if vae.num_classes is None else np.zeros(len(z), np.int32)
    return visualize.manifold_picture(keras.ops.convert_to_numpy(vae.decode(z, classes)), dimensions=dimensions)
