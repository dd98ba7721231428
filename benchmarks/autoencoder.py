"""Compare a plain autoencoder with a variational one: reconstructions, and images drawn from their latent spaces.

`keras-vae train` trains the same preset with and without --no-variational, on the same data, seed and epochs. Finished
runs are kept. Prints a Markdown table and writes a picture.

Run: python benchmarks/autoencoder.py --picture docs/assets/autoencoder.png
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import small
from machine import heading

from keras_vae.data import ImageDataset, load_dataset
from keras_vae.files import written_beside
from keras_vae.models import VAE, GaussianMixtureSampler, PriorSampler, Sampler
from keras_vae.models.batches import decode_in_batches
from keras_vae.training.evaluation import evaluation_report
from keras_vae.training.posteriors import posterior_draws
from keras_vae.visualize import axis_limits, beside, image_grid, latent_plot, write_png
from keras_vae.visualize.latent import PRIOR_RADIUS
from keras_vae.visualize.style import Picture

# Name of the model → its options of `keras-vae train`.
MODELS = {"plain autoencoder": ("--no-variational",), "variational autoencoder": ()}
# Row of the table → number of Gaussians fitted to the latents, name of the figure in `evaluation_report`, format.
ROWS = {
    "MSE of reconstructions": (10, "mse", ".4f"),
    "LPIPS of reconstructions": (10, "lpips", ".4f"),
    "accuracy of the 5 nearest neighbours in latent space": (10, "knn_accuracy", ".3f"),
    "Fréchet distance, reconstructions": (10, "frechet_reconstructions", ".0f"),
    "Fréchet distance, draws from N(0, I)": (10, "frechet_prior", ".0f"),
    "Fréchet distance, draws from one Gaussian fitted to the latents": (1, "frechet_gmm", ".0f"),
    "Fréchet distance, draws from a mixture of 10 Gaussians": (10, "frechet_gmm", ".0f"),
}
SAMPLES, COLUMNS = 60, 12


def trained(run: Path, options: tuple[str, ...]) -> VAE:
    """The model of a run, trained first if there is none."""
    if not (run / "summary.json").is_file():
        command = str(Path(sys.executable).with_name("keras-vae"))
        subprocess.run(
            [command, "train", *options, "--run-dir", str(run), "--overwrite"], stdout=sys.stderr, check=True
        )
    return keras.saving.load_model(run / "model.keras", safe_mode=True)


def measured(vae: VAE, dataset: ImageDataset) -> dict[str, float]:
    """One model's column of the table: row → figure."""
    reports: dict[int, dict[str, Any]] = {
        components: evaluation_report(vae, dataset, importance_samples=0, components=components)["metrics"]
        for components in sorted({components for components, _, _ in ROWS.values()})
    }
    return {row: reports[components][figure] for row, (components, figure, _) in ROWS.items()}


def pictures(vae: VAE, dataset: ImageDataset) -> list[Picture]:
    """The test images' latents, and decoded draws from N(0, I) and from a Gaussian fitted to the training latents."""
    means, _, labels = posterior_draws(vae, dataset.test)
    _, draws, _ = posterior_draws(vae, dataset.train)
    limits = axis_limits([means], minimum=((-PRIOR_RADIUS, PRIOR_RADIUS), (-PRIOR_RADIUS, PRIOR_RADIUS)))
    latents = latent_plot(means, labels, title="Latents of the test images", limits=limits, prior_centre=(0, 0))
    samplers: dict[str, Sampler] = {
        "Draws of N(0, I)": PriorSampler(vae.bottleneck),
        "Draws of a Gaussian fitted to the latents": GaussianMixtureSampler.fit(draws, components=1),
    }
    grids = [
        image_grid(
            decode_in_batches(vae, sampler.sample(SAMPLES, 0)), columns=COLUMNS, title=title, width=latents.shape[1]
        )
        for title, sampler in samplers.items()
    ]
    return [latents, *grids]


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latent", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/autoencoder"))
    parser.add_argument("--picture", type=Path, default=Path("autoencoder.png"), help="PNG to write, for latent size 2")
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        options: tuple[str, ...] = ()
        if arguments.smoke:
            options, place = small.RUN, Path(temporary)
            arguments.dataset, arguments.epochs = small.write_idx(place), 1
            arguments.run_dir, arguments.picture = place, place / "picture.png"
        compare(arguments, options)


def compare(arguments: argparse.Namespace, options: tuple[str, ...]) -> None:
    """Train missing runs with ``options``, print the table, write the picture."""
    latent, epochs = str(arguments.latent), str(arguments.epochs)
    shared = (*options, "--latent", latent, "--epochs", epochs, "--dataset", arguments.dataset)
    dataset = load_dataset(arguments.dataset)
    columns: dict[str, dict[str, float]] = {}
    drawn: list[list[Picture]] = []
    for name, own in MODELS.items():
        run = arguments.run_dir / f"{name.split()[0]}-latent{arguments.latent}-{arguments.epochs}epochs"
        vae = trained(run, (*shared, *own))
        columns[name] = measured(vae, dataset)
        if arguments.latent == 2:
            drawn.append(pictures(vae, dataset))

    print(f"{heading()}\n")
    print(f"| latent {arguments.latent}, {arguments.epochs} epochs, {dataset.name} | " + " | ".join(columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for row, (_, _, form) in ROWS.items():
        print(f"| {row} | " + " | ".join(format(figures[row], form) for figures in columns.values()) + " |")
    if drawn:
        with written_beside(arguments.picture) as path:
            write_png(path, beside([beside(column, columns=1) for column in drawn], names=list(MODELS)))


if __name__ == "__main__":
    main()
