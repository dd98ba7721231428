"""``keras-vae reconstruct``: images through the posterior mean and back, in one picture or each as an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.errors import InputError

from .batch import BatchCommand, batch_options, check_batch, check_plain, job_options, job_output
from .options import overwrite_option, run_argument
from .outputs import check_output, check_output_folder, write_picture, writing
from .runtime import class_of_images, exported_version, open_model, read_image, read_pixels
from .values import FilePath

if TYPE_CHECKING:
    from keras_vae.beam import JobOptions
    from keras_vae.config import DataConfig
    from keras_vae.models import VAE


@click.command("reconstruct", cls=BatchCommand, short_help="Draw your images and their reconstructions.")
@run_argument
@click.argument("images", nargs=-1, required=True)
@click.option("--label", help="Name or number of the images' class, which a conditional model needs.")
@click.option(
    "--tile",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the images' own sizes, and reconstruct them in squares of N pixels, whatever their size.",
)
@click.option(
    "--overlap", type=click.IntRange(min=0), metavar="M", help="Pixels that neighbouring tiles share.  [default: 64]"
)
@click.option(
    "--out",
    help="PNG file to write; with --tile the folder of the images, with --beam that of the shards.  [default: "
    "reconstructions.png, or the folder reconstructions]",
)
@overwrite_option
@batch_options
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    images: tuple[str, ...],
    label: str | None,
    tile: int | None,
    overlap: int | None,
    out: str | None,
    overwrite: bool,
    beam: bool,
    runner: str,
) -> None:
    """Reconstruct image files and draw the reconstructions under the originals.

    With --tile each reconstruction becomes a PNG of the image's size, in a folder; the model needs a spatial latent.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16. Images of
    other sizes are fitted as in training. With --beam, IMAGES is tfrecord:DIR, tfrecord:PATTERN or images:PATTERN, and
    RUN is an exported model. The reconstructions are written to TFRecord shards, which appear complete or not at all.

    \b
    Examples:
      keras-vae reconstruct runs/mnist-latent2 digit.png
      keras-vae reconstruct runs/mnist-latent2 photos/*.png --out reconstructions.png
      keras-vae reconstruct runs/conditional seven.png --label 7
      keras-vae reconstruct sd.keras photos/*.jpg --tile 512 --out reconstructions
      keras-vae reconstruct exports/mnist-latent2 tfrecord:data/mnist --beam --out reconstructions
    """
    if beam:
        check_batch(context, ["label", "tile", "overlap"])
        if len(images) > 1:
            raise InputError(f"--beam takes one tfrecord:… or images:PATTERN, got {len(images):,}; quote the pattern")
        options = job_options(context, run, images[0], out or "reconstructions", runner=runner, overwrite=overwrite)
        _reconstruct_in_a_job(options)
        return
    check_plain(context)
    paths = tuple(FilePath().convert(image, None, context) for image in images)
    if tile is not None:
        folder = FilePath().convert(out or "reconstructions", None, context)
        places = [folder / f"{path.stem}.png" for path in paths]
        if len(set(places)) < len(places):
            raise InputError("two images have the same name, and so would their reconstructions; take one at a time")
        check_output_folder(folder, places, overwrite=overwrite)
        _write_tiled(run, paths, label, places, {"tile": tile} | ({"overlap": overlap} if overlap is not None else {}))
    elif overlap is not None:
        raise InputError("--overlap is one of tiles: give their size with --tile")
    else:
        place = FilePath().convert(out or "reconstructions.png", None, context)
        check_output(place, overwrite=overwrite, suffix=".png")
        _draw(run, paths, label, place)


def _reconstruct_in_a_job(options: JobOptions) -> None:
    from keras_vae.beam import reconstruct_images

    with job_output(options) as say:
        summary = reconstruct_images(options, say=say)
    files = len(summary["shards"])
    click.echo(f"{summary['images']:,} reconstructions are in {options.out} ({files:,} file{'s'[: files > 1]})")


def _opened(run: Path, label: str | None) -> tuple[VAE, DataConfig | None, int | None]:
    """The model, its data, and the number of the class ``label``."""
    vae, config = open_model(run)
    return vae, config, class_of_images(vae, run, label)


def _write_tiled(
    run: Path, images: tuple[Path, ...], label: str | None, places: list[Path], tiles: dict[str, int]
) -> None:
    """Write the reconstruction of each image to its place, as PNG."""
    if exported_version(run):
        raise InputError(f"{run}: an exported model has no tiles; use its run or its .keras file")
    vae, config, number = _opened(run, label)
    import numpy as np
    from PIL import Image

    from keras_vae.metrics import psnr

    for path, place in zip(images, places, strict=True):
        pixels = read_pixels(path, vae.image_shape, config, at_own_size=True)
        labels = None if number is None else np.full(1, number, np.int32)
        image = np.asarray(vae.reconstruct(pixels[None], labels, **tiles))[0]
        height, width = image.shape[:2]
        # In place, since a large image is a large array.
        rounded = np.rint(np.multiply(image, 255, out=image), out=image).astype(np.uint8)
        place.parent.mkdir(exist_ok=True)
        with writing(place) as beside:
            Image.fromarray(rounded.squeeze()).save(beside)
        decibels = float(psnr(pixels[None, :height, :width], rounded[None])[0])
        click.echo(f"wrote {place}, {height}×{width}, PSNR {decibels:.1f} dB")


def _draw(run: Path, images: tuple[Path, ...], label: str | None, out: Path) -> None:
    vae, config, number = _opened(run, label)
    import numpy as np

    from keras_vae import visualize

    originals = np.stack([read_image(path, vae.image_shape, config) for path in images])
    labels = None if number is None else np.full(len(images), number, np.int32)
    reconstructions = np.asarray(vae.reconstruct(originals, labels))
    title = f"Reconstructions · {run.stem} · MSE {np.mean(np.square(originals - reconstructions)):.4f}"
    write_picture(out, visualize.reconstruction_grid(originals, reconstructions, title=title))
