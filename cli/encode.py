"""``keras-vae encode``: the posterior of every image of a data set, into a NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import FilePath, batch_size_option, run_argument
from .runtime import open_dataset, open_model, writing


@click.command("encode", short_help="Write the posterior of every image.")
@run_argument
@click.argument("dataset", required=False)
@click.option("--data-dir", help="TFDS's data_dir (also the environment's TFDS_DATA_DIR).")
@click.option("--split", type=click.Choice(("train", "test")), default="test", show_default=True, help="Which images.")
@batch_size_option
@click.option(
    "--out",
    type=FilePath(),
    default=Path("latents.npz"),
    show_default=True,
    help="NumPy file with the arrays mean and log_var, float32 (N, L), and labels, int32 (N,), if there are any.",
)
def command(
    run: Path, dataset: str | None, data_dir: str | None, split: str, batch_size: int | None, out: Path
) -> None:
    """Encode DATASET (by default the one that RUN was trained on) and write the posteriors.

    \b
    Examples:
      keras-vae encode runs/mnist-latent2
      keras-vae encode runs/mnist-latent2 sample --split train --out latents.npz
    """
    vae, config = open_model(run)
    images = open_dataset(config, dataset, data_dir, vae)
    import numpy as np

    from keras_vae.data import evaluation_batches
    from keras_vae.models.batches import images_at_a_time

    chosen = images.train if split == "train" else images.test
    arrays: dict[str, list[Any]] = {"mean": [], "log_var": [], "labels": []}
    for batch in evaluation_batches(chosen, batch_size or images_at_a_time(vae.image_shape)):
        pixels, labels = batch if chosen.has_labels else (batch, None)
        mean, log_var = vae.encode(pixels, labels)
        arrays["mean"].append(np.asarray(mean))
        arrays["log_var"].append(np.asarray(log_var))
        if labels is not None:
            arrays["labels"].append(np.asarray(labels))
    with writing(out) as beside, beside.open("wb") as file:
        joined: dict[str, Any] = {name: np.concatenate(parts) for name, parts in arrays.items() if parts}
        np.savez_compressed(file, **joined)
    click.echo(f"{chosen.count:,} posteriors of {images.name} ({split}) are in {out}")
