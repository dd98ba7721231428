"""``keras-vae to-tfrecord``: a data set as TFRecord files, for TFX and other tf.data pipelines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from keras_vae.config import DataConfig

from .options import reading_options
from .runtime import say, start_tensorflow
from .values import FilePath


@click.command("to-tfrecord", short_help="Write a data set as TFRecords.")
@click.argument("dataset")
@click.argument("out", type=FilePath())
@click.option(
    "--shard-size",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Largest number of images per file.",
)
@click.option("--overwrite", is_flag=True, help="Replace a data set that this command wrote to OUT.")
@reading_options
def command(dataset: str, out: Path, shard_size: int, overwrite: bool, reading: dict[str, Any]) -> None:
    """Write DATASET into the folder OUT as gzipped TFRecord files of tf.Example.

    Each record has image/encoded, a PNG, and label, an int64, if there are labels. TFX's ImportExampleGen reads OUT
    with the splits train/* and test/*. OUT/dataset.json has counts, classes and SHA-256.

    \b
    Examples:
      keras-vae to-tfrecord mnist data/mnist
      keras-vae to-tfrecord sample data/digits --shard-size 1000
      keras-vae to-tfrecord idx:downloads/mnist data/mnist --overwrite
      keras-vae to-tfrecord folder:photos data/photos --image-size 64
    """
    start_tensorflow()
    from tqdm import tqdm

    from keras_vae.data import load_dataset, write_tfrecords
    from keras_vae.data.tfrecord import check_folder

    check_folder(out, overwrite=overwrite)  # before reading, which takes longer
    images = load_dataset(DataConfig(dataset=dataset).replace(**reading), say=say)
    total = images.train.count + images.test.count
    with tqdm(total=total, desc=images.name, unit="img", leave=False, disable=not sys.stderr.isatty()) as bar:
        description = write_tfrecords(images, out, shard_size=shard_size, overwrite=overwrite, progress=bar.update)
    for split, shards in description["shards"].items():
        click.echo(f"{split}: {description['counts'][split]:,} images, {len(shards)} file{'s'[: len(shards) > 1]}")
    click.echo(f"{images.name} is in {out}")
