"""``keras-vae reconstruct``: images through the posterior mean and back."""

from __future__ import annotations

from pathlib import Path

import click

from .options import picture_option, run_argument
from .runtime import open_model, read_image, write_picture


@click.command("reconstruct", short_help="Draw your images over their reconstructions.")
@run_argument
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@picture_option("reconstructions.png")
def command(run: Path, images: tuple[Path, ...], out: Path) -> None:
    """Reconstruct image files with RUN (a run directory, a .keras file or an exported model) and draw them under
    the originals.

    Images of another size are resized to the model's.

    \b
    Examples:
      keras-vae reconstruct runs/mnist-latent2 digit.png
      keras-vae reconstruct runs/mnist-latent2 photos/*.png --out reconstructions.png
    """
    vae, _ = open_model(run)
    import numpy as np

    from keras_vae import visualize

    originals = np.stack([read_image(path, vae.image_shape) for path in images])
    reconstructions = np.asarray(vae.reconstruct(originals))
    title = f"Reconstructions · {run.stem} · MSE {np.mean(np.square(originals - reconstructions)):.4f}"
    write_picture(out, visualize.reconstruction_grid(originals, reconstructions, title=title))
