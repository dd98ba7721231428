"""``keras-vae evaluate``: how good a model is on a test set."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .options import json_option, run_argument, with_data_options
from .runtime import open_dataset, open_model

UNITS = {"elbo": "nats", "nll": "nats", "kl": "nats", "psnr": "dB"}


@click.command("evaluate")
@run_argument
@with_data_options
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Images at a time.")
@json_option
def command(run: Path, dataset: str | None, data_dir: str | None, batch_size: int, as_json: bool) -> None:
    """Measure RUN (a run directory or a .keras file) on the whole test set.

    MSE, PSNR, SSIM and LPIPS (VGG16, three taps) are of the reconstruction through the posterior mean; the ELBO is
    estimated with one sampled z an image.

    \b
    Examples:
      keras-vae evaluate runs/mnist-latent2
      keras-vae evaluate runs/mnist-latent2 --dataset sample --json
    """
    vae, config = open_model(run)
    images = open_dataset(config, dataset, data_dir, vae)
    from keras_vae.training.evaluation import evaluate_model

    metrics = evaluate_model(vae, images.test, batch_size)
    if as_json:
        click.echo(json.dumps({"model": str(run), "data": images.describe(), "metrics": metrics}, indent=2))
        return
    click.echo(f"{run} on the {images.test.count:,} test images of {images.name}")
    for name, value in metrics.items():
        click.echo(f"  {name:<6}{value:>10.4f} {UNITS.get(name, '')}".rstrip())
