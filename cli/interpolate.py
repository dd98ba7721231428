"""``keras-vae interpolate``: walks through the latent space between pairs of test images."""

from __future__ import annotations

from pathlib import Path

import click

from .options import picture_option, run_argument, seed_option, with_data_options
from .outputs import check_output, write_picture
from .runtime import open_dataset, open_model

CANDIDATES = 1000


@click.command("interpolate", short_help="Draw walks between test images.")
@run_argument
@with_data_options
@click.option("--pairs", type=click.IntRange(1, 100), default=10, show_default=True, help="Number of walks.")
@click.option("--steps", type=click.IntRange(2, 100), default=11, show_default=True, help="Images per walk.")
@seed_option
@picture_option("interpolation.png")
def command(
    run: Path,
    dataset: str | None,
    data_dir: str | None,
    pairs: int,
    steps: int,
    seed: int,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Draw spherical walks between the posterior means of random pairs of test images.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16.

    \b
    Examples:
      keras-vae interpolate runs/mnist-latent2
      keras-vae interpolate runs/mnist-latent2 --pairs 5 --steps 15 --seed 3 --out walks.png
    """
    out = out or Path("interpolation.png")
    check_output(out, overwrite=overwrite, suffix=".png")
    vae, config = open_model(run)
    images, labels = open_dataset(run, config, dataset, data_dir, vae).test.first(CANDIDATES)
    import numpy as np

    from keras_vae.callbacks.model_pictures import interpolation_picture

    means = np.asarray(vae.encode_flat(images.astype(np.float32) / 255, labels)[0])
    write_picture(out, interpolation_picture(vae, images, means, pairs, steps, seed, labels))
