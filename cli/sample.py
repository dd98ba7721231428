"""``keras-vae sample``: new images from the prior."""

from __future__ import annotations

from pathlib import Path

import click

from .options import picture_option, run_argument, seed_option
from .runtime import open_model, write_picture


@click.command("sample")
@run_argument
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many images.")
@seed_option
@picture_option("samples.png")
def command(run: Path, count: int, seed: int, out: Path) -> None:
    """Decode draws of the prior N(0, I) with RUN (a run directory or a .keras file) into one picture.

    \b
    Examples:
      keras-vae sample runs/mnist-latent2
      keras-vae sample runs/mnist-latent2 --count 400 --seed 7 --out digits.png
    """
    vae, _ = open_model(run)
    from keras_vae.callbacks.pictures import samples_picture

    write_picture(out, samples_picture(vae, count, seed))
