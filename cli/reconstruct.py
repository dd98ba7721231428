"""``keras-vae reconstruct``: images through the posterior mean and back."""

from __future__ import annotations

from pathlib import Path

import click

from keras_vae.errors import InputError

from .options import FilePath, picture_option, run_argument
from .runtime import check_label, open_model, read_image, write_picture


@click.command("reconstruct", short_help="Draw your images over their reconstructions.")
@run_argument
@click.argument("images", nargs=-1, required=True, type=FilePath())
@click.option("--label", type=click.IntRange(min=0), help="Class of the images, which a conditional model needs.")
@picture_option("reconstructions.png")
def command(run: Path, images: tuple[Path, ...], label: int | None, out: Path) -> None:
    """Reconstruct image files with RUN (a run directory, a .keras file or an exported model) and draw them under
    the originals.

    Images of another size are made to fit as those of the training were.

    \b
    Examples:
      keras-vae reconstruct runs/mnist-latent2 digit.png
      keras-vae reconstruct runs/mnist-latent2 photos/*.png --out reconstructions.png
      keras-vae reconstruct runs/conditional seven.png --label 7
    """
    vae, config = open_model(run)
    check_label(vae, run, label)
    if vae.num_classes is not None and label is None:
        raise InputError(f"{run}: is conditional; give the class of the images with --label")
    import numpy as np

    from keras_vae import visualize

    originals = np.stack([read_image(path, vae.image_shape, config) for path in images])
    labels = None if label is None else np.full(len(images), label, np.int32)
    reconstructions = np.asarray(vae.reconstruct(originals, labels))
    title = f"Reconstructions · {run.stem} · MSE {np.mean(np.square(originals - reconstructions)):.4f}"
    write_picture(out, visualize.reconstruction_grid(originals, reconstructions, title=title))
