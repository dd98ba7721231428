"""``keras-vae fit-prior``: give a finished model a learned prior."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.config import FITTED_PRIORS
from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.run_lock import run_lock

from .options import json_option, overwrite_option, run_argument, seed_option, with_data_options
from .outputs import check_output, writing
from .runtime import class_names_of, exported_version, open_dataset, open_model, say
from .values import Choice, FilePath

if TYPE_CHECKING:
    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE


@click.command("fit-prior", short_help="Give a trained model a learned prior.")
@run_argument
@click.option("--prior", type=Choice(FITTED_PRIORS), required=True, help="Kind of the prior.")
@click.option(
    "--components", type=click.IntRange(1, 65536), default=64, show_default=True, help="Components of vamp or mixture."
)
@click.option(
    "--conditional", is_flag=True, help="Let latent-flow or codes know the images' labels, so that it draws by class."
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the images, at most; by default what suits the prior."
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a step; by default what suits the prior.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Peak learning rate; by default what suits the prior.",
)
@with_data_options
@seed_option
@click.option("--out", type=FilePath(), help="Write the model to this .keras file, and leave RUN as it is.")
@overwrite_option
@json_option
def command(
    run: Path,
    prior: str,
    components: int,
    conditional: bool,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    dataset: str | None,
    data_dir: str | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit a prior to the latents of RUN's training images; encoder and decoder stay as they are.

    vamp, mixture and flow are priors of latent vectors, latent-flow of spatial latents, and codes of codes.

    RUN is a run directory that has finished, whose model.keras is replaced, or with --out also a .keras file or a
    published model. Samples, evaluations and exports of the model then use the prior. samples.png is drawn anew, and
    the evaluation.json of the former model is deleted.

    \b
    Examples:
      keras-vae fit-prior runs/mnist-latent16 --prior flow
      keras-vae fit-prior runs/mnist-latent2 --prior vamp --components 100 --json
      keras-vae fit-prior runs/mnist-latent4x7x7 --prior latent-flow
      keras-vae fit-prior runs/mnist-latent4x7x7 --prior latent-flow --conditional
      keras-vae fit-prior runs/codes --prior codes
      keras-vae fit-prior mnist-latent16 --prior flow --dataset sample --out flow.keras
    """
    directory = RunDirectory(run)
    if out is None:
        _check_run(run, directory)
    else:
        check_output(out, overwrite=overwrite, suffix=".keras")
    if exported_version(run):
        raise InputError(f"{run}: is an exported model, which cannot be changed; give the run that it came from")
    with contextlib.nullcontext() if out else run_lock(run):
        vae, config = open_model(run)
        images = open_dataset(run, config, dataset, data_dir, vae)
        from keras_vae.training.fit_prior import fit_prior  # deferred, as the next: it imports TensorFlow
        from keras_vae.training.saving import save_model

        fitted, fit = fit_prior(
            vae,
            images.train,
            prior,
            components=components,
            num_classes=_classes_of(images) if conditional else None,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            say=say,
        )
        figures = dataclasses.asdict(fit)
        if out:
            with writing(out) as beside:
                fitted.save(beside)
        else:
            directory.evaluation.unlink(missing_ok=True)
            save_model(fitted, directory.model)
            directory.write_summary({**directory.read_summary(), "fitted_prior": figures})
            _draw_samples(fitted, directory)
    figures["model"] = str(out or directory.model)
    click.echo(json.dumps(figures, indent=2) if as_json else _text(figures))


def _draw_samples(vae: VAE, run: RunDirectory) -> None:
    """Replace the run's samples.png by draws of the new prior."""
    from keras_vae.callbacks.model_pictures import samples_picture
    from keras_vae.callbacks.pictures import SAMPLES
    from keras_vae.visualize import write_png

    if (run.plots / "samples.png").is_file():
        names = class_names_of(run.path, vae)
        with writing(run.plots / "samples.png") as beside:
            write_png(beside, samples_picture(vae, SAMPLES, run.read_config().seed, class_names=names))


def _classes_of(images: ImageDataset) -> int:
    if images.num_classes is None:
        raise InputError(f"{images.name}: has no labels, which --conditional needs")
    return images.num_classes


def _check_run(path: Path, run: RunDirectory) -> None:
    if not run.is_run():
        raise InputError(f"{path}: is not a run directory; name the .keras file to write with --out")
    if run.finished_epochs() is None:
        raise InputError(f"{path}: has not finished training; go on with: keras-vae train --resume --run-dir {path}")


def _text(figures: dict[str, object]) -> str:
    before = "" if figures["loss_before"] is None else f", before {figures['loss_before']:.4f}"
    return (
        f"{figures['model']}: prior {figures['prior']}, loss {figures['loss']:.4f} on held-out images{before}; "
        f"best epoch {figures['best_epoch']} of {figures['epochs']}"
    )
