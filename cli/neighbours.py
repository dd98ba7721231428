"""``keras-vae neighbours``: the images of a data set that are nearest to yours in the latent space."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.errors import InputError

from .options import json_option, overwrite_option, run_argument, with_data_options
from .outputs import check_output, writing
from .runtime import class_of_images, open_dataset, open_model, say
from .values import Choice, FilePath

if TYPE_CHECKING:
    import numpy as np


@click.command("neighbours", short_help="Find the training images nearest to yours.")
@run_argument
@click.argument("images", type=FilePath(), nargs=-1, required=True)
@with_data_options
@click.option(
    "--split", type=Choice(("train", "test")), default="train", show_default=True, help="Which images to look among."
)
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="Neighbours of each image.")
@click.option("--label", help="Class of IMAGES, which a conditional model needs.")
@click.option("--out", type=FilePath(), default=Path("neighbours.png"), show_default=True, help="PNG file to write.")
@overwrite_option
@json_option
def command(
    run: Path,
    images: tuple[Path, ...],
    dataset: str | None,
    data_dir: str | None,
    split: str,
    count: int,
    label: str | None,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Draw beside each of IMAGES the training images whose posterior means are nearest to its own, and name them.

    The distance is Euclidean, between the means of all latent dimensions. The command compares with the first 60,000
    images at most, and with fewer if the latent is large. RUN is a run directory, a .keras file, an exported model, or
    a published model such as mnist-latent16.

    \b
    Examples:
      keras-vae neighbours runs/mnist-latent2 digit.png
      keras-vae neighbours runs/parts new/*.png --count 5 --out nearest.png
      keras-vae neighbours mnist-latent16 digit.png --dataset sample --json
    """
    check_output(out, overwrite=overwrite, suffix=".png")
    vae, config = open_model(run)
    number = class_of_images(vae, run, label)
    import numpy as np

    from keras_vae.data import ArraySplit
    from keras_vae.training.posteriors import TRAINING_POSTERIORS, posteriors_of
    from keras_vae.visualize import class_grid, write_png

    from .scored_images import ScoredImages, by_number, files, names_of

    own = files(images, vae, config, number)
    found = open_dataset(run, config, dataset, data_dir, vae)
    chosen = by_number(found.train if split == "train" else found.test)
    if count > chosen.count:
        raise InputError(f"{found.name}: has {chosen.count:,} images in {split}, fewer than --count {count:,}")
    others = ScoredImages(names_of(chosen), chosen.read, chosen.labels, found.class_names)
    say(f"encoding {min(chosen.count, TRAINING_POSTERIORS):,} images of {found.name} ({split})")
    means, _, _ = posteriors_of(vae, chosen, TRAINING_POSTERIORS)
    if count > len(means):
        raise InputError(f"{found.name}: the first {len(means):,} images were encoded, fewer than --count {count:,}")
    pixels = own.read(np.arange(len(images)))
    mean, _, _ = posteriors_of(vae, ArraySplit(pixels, own.labels), len(images))
    distances, rows = nearest(mean, means, count)
    grid = np.stack(
        [np.concatenate([image[None], others.read(near)]) for image, near in zip(pixels, rows, strict=True)]
    )
    title = f"Nearest in the latent space of {run.stem} · {found.name} ({split})"
    with writing(out) as beside:
        write_png(beside, class_grid(grid, [path.name for path in images], title=title))
    say(f"wrote {out}")
    report = [
        {
            "image": str(path),
            "neighbours": [
                {"name": others.names[row], "label": others.label(row), "distance": float(distance)}
                for row, distance in zip(near, away, strict=True)
            ],
        }
        for path, near, away in zip(images, rows, distances, strict=True)
    ]
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_lines(report)))


def nearest(points: np.ndarray, among: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and rows of the ``count`` nearest of ``among`` (M, L) to each of ``points`` (N, L): (N, count) each."""
    from sklearn.neighbors import NearestNeighbors

    distances, rows = NearestNeighbors(n_neighbors=count).fit(among).kneighbors(points)
    return distances, rows


def _lines(report: list[dict[str, Any]]) -> list[str]:
    lines = []
    for one in report:
        lines.append(f"{one['image']}: the nearest images")
        for near in one["neighbours"]:
            label = f", class {near['label']}" if near["label"] else ""
            lines.append(f"  {near['distance']:8.3f}  {near['name']}{label}")
    return lines
