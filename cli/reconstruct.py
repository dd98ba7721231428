"""``keras-vae reconstruct``: images through the posterior mean and back, as a picture or, in a batch job, as images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.errors import InputError

from .batch import BatchCommand, batch_options, check_batch, check_plain, job_options, job_output
from .options import overwrite_option, run_argument
from .outputs import check_output, write_picture
from .runtime import find_label, open_model, read_image
from .values import FilePath

if TYPE_CHECKING:
    from keras_vae.beam import JobOptions


@click.command("reconstruct", cls=BatchCommand, short_help="Draw your images and their reconstructions.")
@run_argument
@click.argument("images", nargs=-1, required=True)
@click.option("--label", help="Name or number of the images' class, which a conditional model needs.")
@click.option(
    "--out",
    help="PNG file to write; with --beam, the folder of the shards.  [default: reconstructions.png, or with --beam "
    "reconstructions]",
)
@overwrite_option
@batch_options
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    images: tuple[str, ...],
    label: str | None,
    out: str | None,
    overwrite: bool,
    beam: bool,
    runner: str,
) -> None:
    """Reconstruct image files and draw the reconstructions under the originals.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16. Images of
    other sizes are fitted as in training. With --beam, IMAGES is tfrecord:DIR, tfrecord:PATTERN or images:PATTERN, and
    RUN is an exported model. The reconstructions are written to TFRecord shards, which appear complete or not at all.

    \b
    Examples:
      keras-vae reconstruct runs/mnist-latent2 digit.png
      keras-vae reconstruct runs/mnist-latent2 photos/*.png --out reconstructions.png
      keras-vae reconstruct runs/conditional seven.png --label 7
      keras-vae reconstruct exports/mnist-latent2 tfrecord:data/mnist --beam --out reconstructions
    """
    if beam:
        check_batch(context, ["label"])
        if len(images) > 1:
            raise InputError(f"--beam takes one tfrecord:… or images:PATTERN, got {len(images):,}; quote the pattern")
        options = job_options(context, run, images[0], out or "reconstructions", runner=runner, overwrite=overwrite)
        _reconstruct_in_a_job(options)
    else:
        check_plain(context)
        paths = tuple(FilePath().convert(image, None, context) for image in images)
        place = FilePath().convert(out or "reconstructions.png", None, context)
        check_output(place, overwrite=overwrite, suffix=".png")
        _draw(run, paths, label, place)


def _reconstruct_in_a_job(options: JobOptions) -> None:
    from keras_vae.beam import reconstruct_images

    with job_output(options) as say:
        summary = reconstruct_images(options, say=say)
    files = len(summary["shards"])
    click.echo(f"{summary['images']:,} reconstructions are in {options.out} ({files:,} file{'s'[: files > 1]})")


def _draw(run: Path, images: tuple[Path, ...], label: str | None, out: Path) -> None:
    vae, config = open_model(run)
    number = find_label(vae, run, label)
    if vae.num_classes is not None and number is None:
        raise InputError(f"{run}: is conditional; give the class of the images with --label")
    import numpy as np

    from keras_vae import visualize

    originals = np.stack([read_image(path, vae.image_shape, config) for path in images])
    labels = None if number is None else np.full(len(images), number, np.int32)
    reconstructions = np.asarray(vae.reconstruct(originals, labels))
    title = f"Reconstructions · {run.stem} · MSE {np.mean(np.square(originals - reconstructions)):.4f}"
    write_picture(out, visualize.reconstruction_grid(originals, reconstructions, title=title))
