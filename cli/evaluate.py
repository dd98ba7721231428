"""``keras-vae evaluate``: figures of a model on a test set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from keras_vae.training.fid_note import fid_note
from keras_vae.training.run_directory import RunDirectory

from .batch import BATCH_JOBS, BatchCommand, batch_options, check_batch, check_plain, job_options, job_output
from .grouped_help import grouped_option
from .options import batch_size_option, json_option, run_argument, with_data_options
from .runtime import open_dataset, open_inception, open_model, say
from .values import FilePath

# In a larger latent space the table shows the dimensions with the largest KL only; the JSON has all of them.
DIMENSIONS_SHOWN = 8


@click.command("evaluate", cls=BatchCommand, short_help="Measure a model on a whole test set.")
@run_argument
@with_data_options
@batch_size_option
@click.option(
    "--importance-samples",
    type=click.IntRange(min=0),
    help="Draws of z per image for the importance-sampled likelihood; 0 skips it.  [default: 100; 0 for images of more "
    "than 64×64 pixels]",
)
@click.option(
    "--importance-images",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of test images for the importance-sampled likelihood.",
)
@click.option(
    "--components",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Components of the Gaussian mixture that is fitted to the training posteriors.",
)
@click.option(
    "--fid-weights",
    type=FilePath(),
    metavar="FILE",
    help="Also measure FID, with the Inception network in this file: TensorFlow's classify_image_graph_def.pb.",
)
@json_option
@batch_options
@grouped_option(
    "--out",
    default="evaluation",
    show_default=True,
    group=BATCH_JOBS,
    help="Folder for the figures of a batch job.",
)
@grouped_option(
    "--overwrite", is_flag=True, group=BATCH_JOBS, help="Replace the results of another batch job in --out."
)
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    dataset: str | None,
    data_dir: str | None,
    batch_size: int | None,
    importance_samples: int | None,
    importance_images: int,
    components: int,
    fid_weights: Path | None,
    as_json: bool,
    beam: bool,
    runner: str,
    out: str,
    overwrite: bool,
) -> None:
    """Measure RUN on the whole test set.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16.

    MSE, PSNR, SSIM and LPIPS (VGG16, three taps) measure the reconstruction through the posterior mean. The ELBO uses
    one sampled z per image, the importance-sampled likelihood many. The Fréchet distance of VGG16 features compares
    samples with test images; with --fid-weights so does FID. Figures on the run's own data are also written to
    RUN/evaluation.json.

    With --beam, --dataset is tfrecord:DIR, tfrecord:PATTERN or images:PATTERN, and RUN is an exported model. The job
    measures MSE, PSNR, SSIM, LPIPS and KL on any number of images and writes them to the folder --out.

    \b
    Examples:
      keras-vae evaluate runs/mnist-latent2
      keras-vae evaluate runs/mnist-latent2 --importance-samples 0
      keras-vae evaluate runs/mnist-latent2 --dataset sample --json
      keras-vae evaluate exports/mnist-latent2 --dataset tfrecord:data/mnist --beam
    """
    if beam:
        check_batch(context, ["data_dir", "importance_samples", "importance_images", "components", "fid_weights"])
        options = job_options(context, run, dataset, out, batch_size=batch_size, runner=runner, overwrite=overwrite)
        from keras_vae.beam import evaluate_images

        with job_output(options) as say_beside:
            summary = evaluate_images(options, say=say_beside)
        click.echo(json.dumps(summary, indent=2) if as_json else "\n".join(_batch_table(summary)))
        return
    check_plain(context, ["out", "overwrite"])
    report = evaluate_run(
        run,
        importance_samples=importance_samples,
        importance_images=importance_images,
        components=components,
        batch_size=batch_size,
        dataset=dataset,
        data_dir=data_dir,
        fid_weights=fid_weights,
    )
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_table(report)))


def evaluate_run(
    path: Path,
    *,
    dataset: str | None = None,
    data_dir: str | None = None,
    batch_size: int | None = None,
    fid_weights: Path | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure a run directory's model, a ``.keras`` file or an exported model.

    The report is ``{"model", "data", "settings", "metrics"}``. It is also written to the run's evaluation.json when the
    data are those that the run recorded. ``settings`` are arguments of
    `keras_vae.training.evaluation.evaluation_report`.

    Raises:
        InputError: if the model, the data or FID's weights cannot be opened, if model and data do not fit each other,
            or if they cannot be measured.
    """
    # First, so that a wrong file is refused before the model and the data are read.
    inception = None if fid_weights is None else open_inception(fid_weights)
    vae, config = open_model(path)
    images = open_dataset(path, config, dataset, data_dir, vae)
    from keras_vae.data.recorded import difference  # deferred, as the next: it imports TensorFlow
    from keras_vae.training.evaluation import evaluation_report

    measured = evaluation_report(vae, images, batch_size=batch_size, inception=inception, say=say, **settings)
    data = images.describe()
    report = {"model": str(path), "data": data, **measured}
    run = RunDirectory(path)
    if run.is_run() and difference(data, run.read_recorded().get("data")) is None:
        try:
            run.write_evaluation(report)
            say(f"wrote {run.evaluation}")
        except OSError as error:
            say(f"{run.evaluation}: cannot be written ({error.strerror or error}); the figures are not saved")
    return report


def _batch_table(summary: dict[str, Any]) -> Iterator[str]:
    metrics = summary["metrics"]
    yield f"{summary['model']} {summary['version']} on the {summary['images']:,} images of {summary['dataset']}"
    yield _row("mse", metrics["mse"])
    yield _row("psnr", metrics["psnr"], "dB")
    yield _row("ssim", metrics["ssim"])
    yield _row("lpips", metrics["lpips"])
    yield _row("kl", metrics["kl"], "nats an image")
    yield from _kl_lines(metrics["kl_per_dimension"])


def _table(report: dict[str, Any]) -> Iterator[str]:
    data, settings, metrics = report["data"], report["settings"], report["metrics"]
    yield f"{report['model']} on the {data['counts']['test']:,} test images of {data['name']}"

    yield "reconstruction"
    yield _row("mse", metrics["mse"])
    yield _row("psnr", metrics["psnr"], "dB")
    yield _row("ssim", metrics["ssim"])
    yield _row("lpips", metrics["lpips"])

    yield "likelihood (nats an image)"
    yield _row("elbo", metrics["elbo"])
    yield _row("nll given z", metrics["nll"])
    yield _row("kl", metrics["kl"])
    if metrics["importance_nll"] is not None:
        note = f"of {settings['importance_images']:,} images, {settings['importance_samples']:,} samples each"
        yield _row("importance nll", metrics["importance_nll"], note)

    yield "latent space"
    if metrics["active_units"] is not None:
        yield _row("active units", metrics["active_units"], f"of {len(metrics['kl_per_dimension'])}")
    if "bits" in metrics:
        yield _row("rate", metrics["bits"], "bits an image")
        yield _row("perplexity", metrics["perplexity"], "of the use of codes")
        yield _row("used codes", metrics["used_codes"], "fraction of the codebook")
    if metrics["knn_accuracy"] is not None:
        yield _row(
            "knn accuracy", metrics["knn_accuracy"], f"fraction of the test images, {settings['neighbours']} neighbours"
        )
    yield from _kl_lines(metrics["kl_per_dimension"])

    yield f"samples (Fréchet distance of VGG16 features to {settings['frechet_images']:,} test images)"
    yield _row("reconstructions", metrics["frechet_reconstructions"])
    yield _row("prior", metrics["frechet_prior"])
    yield _row("mixture", metrics["frechet_gmm"], f"of {settings['components']} Gaussians")

    if "fid_reconstructions" in metrics:
        yield f"FID ({fid_note(settings['frechet_images'])})"
        yield _row("reconstructions", metrics["fid_reconstructions"], "also called rFID")
        yield _row("prior", metrics["fid_prior"])
        yield _row("mixture", metrics["fid_gmm"], f"of {settings['components']} Gaussians")


def _row(name: str, value: float, note: str = "") -> str:
    number = f"{value:>12,}" if isinstance(value, int) else f"{value:>12,.4f}"
    return f"  {name:<16}{number} {note}".rstrip()


def _kl_lines(kl: list[float]) -> Iterator[str]:
    """The KL of each dimension; if there are many, of those with the largest KL."""
    shown = list(range(len(kl)))
    title = "kl of each dimension, nats"
    if len(kl) > DIMENSIONS_SHOWN:
        shown = sorted(shown, key=lambda dimension: -kl[dimension])[:DIMENSIONS_SHOWN]
        title += f": the largest {DIMENSIONS_SHOWN} of {len(kl)}"
    yield f"  {title}"
    yield "  " + "".join(f"  z{dimension} {kl[dimension]:.3f}" for dimension in shown)
