"""``keras-vae encode``: the posterior of every image of a data set, as a NumPy file or, in a batch job, as shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .batch import BATCH_JOBS, BatchCommand, batch_options, check_batch, check_plain, job_options, job_output
from .grouped_help import grouped_option
from .options import batch_size_option, overwrite_option, run_argument
from .outputs import check_output, writing
from .runtime import open_dataset, open_model
from .values import Choice, FilePath

if TYPE_CHECKING:
    from keras_vae.beam import JobOptions


@click.command("encode", cls=BatchCommand, short_help="Write the posterior of every image.")
@run_argument
@click.argument("dataset", required=False)
@click.option("--data-dir", help="TFDS's data directory; by default the environment's TFDS_DATA_DIR.")
@click.option(
    "--split", type=Choice(("train", "test")), default="test", show_default=True, help="Which images to encode."
)
@batch_size_option
@click.option(
    "--out",
    help="NumPy file with the arrays mean and log_var, float32 (N, L), and where there are any labels, int32 (N,), "
    "codes, int32, and paths, the files of the images. With --beam, the folder of the shards.  [default: latents.npz, "
    "or with --beam latents]",
)
@overwrite_option
@batch_options
@grouped_option(
    "--format",
    "latent_format",
    type=Choice(("parquet", "tfrecord")),
    default="parquet",
    show_default=True,
    group=BATCH_JOBS,
    help="Format of a batch job's shards.",
)
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    dataset: str | None,
    data_dir: str | None,
    split: str,
    batch_size: int | None,
    out: str | None,
    overwrite: bool,
    beam: bool,
    runner: str,
    latent_format: str,
) -> None:
    """Encode DATASET (by default the one that RUN was trained on) and write the posteriors.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16.

    With --beam, DATASET is tfrecord:DIR (and its --split), tfrecord:PATTERN or images:PATTERN, and RUN is an exported
    model. The posteriors are written to sharded Parquet files, which appear complete or not at all.

    \b
    Examples:
      keras-vae encode runs/mnist-latent2
      keras-vae encode runs/mnist-latent2 sample --split train --out latents.npz
      keras-vae encode exports/mnist-latent2 tfrecord:data/mnist --beam --out latents
      keras-vae encode exports/mnist-latent2 'images:digits/**/*.png' --beam -- --direct_num_workers 2 \\
        --direct_running_mode multi_processing
    """
    if beam:
        check_batch(context, ["data_dir"])
        _encode_in_a_job(
            job_options(
                context,
                run,
                dataset,
                out or "latents",
                split=split,
                batch_size=batch_size,
                runner=runner,
                overwrite=overwrite,
            ),
            latent_format,
        )
    else:
        check_plain(context, ["latent_format"])
        place = FilePath().convert(out or "latents.npz", None, context)
        check_output(place, overwrite=overwrite)
        _encode(run, dataset, data_dir, split, batch_size, place)


def _encode_in_a_job(options: JobOptions, latent_format: str) -> None:
    from keras_vae.beam import encode_images

    with job_output(options) as say:
        summary = encode_images(options, latent_format, say=say)
    files = len(summary["shards"])
    click.echo(f"{summary['images']:,} posteriors are in {options.out} ({files:,} file{'s'[: files > 1]})")


def _encode(
    run: Path, dataset: str | None, data_dir: str | None, split: str, batch_size: int | None, out: Path
) -> None:
    vae, config = open_model(run)
    images = open_dataset(run, config, dataset, data_dir, vae)
    import numpy as np

    from keras_vae.data import StreamSplit, evaluation_batches
    from keras_vae.latents.bottleneck import LOG_VAR_MIN
    from keras_vae.models.batches import images_at_a_time

    chosen = images.train if split == "train" else images.test
    arrays: dict[str, list[Any]] = {"mean": [], "log_var": [], "labels": [], "codes": []}
    for batch in evaluation_batches(chosen, batch_size or images_at_a_time(vae.image_shape)):
        pixels, labels = batch if chosen.has_labels else (batch, None)
        if vae.bottleneck.code_shape is None:
            mean, log_var = vae.encode(pixels, labels)
        else:
            latents = vae.latents(pixels, labels)
            mean, log_var = latents["z"], np.full_like(latents["z"], LOG_VAR_MIN)
            arrays["codes"].append(np.asarray(latents["codes"]))
        arrays["mean"].append(np.asarray(mean))
        arrays["log_var"].append(np.asarray(log_var))
        if labels is not None:
            arrays["labels"].append(np.asarray(labels))
    with writing(out) as beside, beside.open("wb") as file:
        joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in arrays.items() if parts}
        if not isinstance(chosen, StreamSplit) and chosen.paths is not None:
            joined["paths"] = np.array([str(path) for path in chosen.paths])
        np.savez_compressed(file, **joined)
    click.echo(f"{chosen.count:,} posteriors of {images.name} ({split}) are in {out}")
