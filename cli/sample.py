"""``keras-vae sample``: new images from the prior, or from a mixture fitted to the training images' latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.errors import InputError

from .options import picture_option, run_argument, seed_option, with_data_options
from .outputs import check_output, write_picture
from .runtime import class_names_of, find_label, open_dataset, open_model
from .values import Choice

if TYPE_CHECKING:
    from keras_vae.models import VAE

COMPONENTS = 10


@click.command("sample", short_help="Draw new images.")
@run_argument
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Number of images.")
@click.option(
    "--sampler",
    type=Choice(("prior", "gmm")),
    default="prior",
    show_default=True,
    help="Distribution of z: the prior, or a Gaussian mixture fitted to the training images' latents.",
)
@click.option(
    "--label", help="Class of a conditional model or prior, by name or number; by default each class gets a row."
)
@click.option(
    "--guidance",
    type=click.FloatRange(min=0),
    help="How far a conditional prior (latent-flow or codes) is led to the class; 1 is its own distribution.",
)
@click.option("--components", type=click.IntRange(min=1), help=f"Components of the mixture; by default {COMPONENTS}.")
@with_data_options
@seed_option
@picture_option("samples.png, or samples_gmm.png of a mixture")
def command(
    run: Path,
    count: int,
    sampler: str,
    label: str | None,
    guidance: float | None,
    components: int | None,
    dataset: str | None,
    data_dir: str | None,
    seed: int,
    out: Path | None,
    overwrite: bool,
) -> None:
    """Decode draws of the prior into one picture.

    RUN is a run directory, a .keras file, an exported model, or a published model such as mnist-latent16. With
    --sampler gmm, z comes from a Gaussian mixture that is fitted to one posterior draw of each training image.

    \b
    Examples:
      keras-vae sample runs/mnist-latent2
      keras-vae sample mnist-latent16 --out published.png
      keras-vae sample runs/mnist-latent2 --count 400 --seed 7 --out digits.png
      keras-vae sample runs/mnist-latent2 --sampler gmm --components 20
      keras-vae sample runs/conditional --label 7
      keras-vae sample runs/pets --label dog
      keras-vae sample runs/mnist-latent4x7x7 --label 7 --guidance 2     (after fit-prior --conditional)
    """
    fitting = {"--components": components, "--dataset": dataset, "--data-dir": data_dir}
    given = [name for name, value in fitting.items() if value is not None]
    if sampler == "prior" and given:
        raise InputError(f"{' and '.join(given)}: the prior is not fitted; choose --sampler gmm")
    out = out or Path("samples.png" if sampler == "prior" else "samples_gmm.png")
    check_output(out, overwrite=overwrite, suffix=".png")
    vae, config = open_model(run)
    number = find_label(vae, run, label, of_sample=sampler == "prior")
    if guidance is not None:
        _guide(vae, run, guidance, sampler)
    from keras_vae.callbacks.model_pictures import NOISE_EXPECTED, is_noise_expected, samples_picture
    from keras_vae.training.posteriors import fit_mixture

    mixture = None
    if sampler == "gmm":
        images = open_dataset(run, config, dataset, data_dir, vae)
        mixture = fit_mixture(vae, images.train, components or COMPONENTS, seed)
    names = class_names_of(run, vae)
    write_picture(out, samples_picture(vae, count, seed, mixture, label=number, class_names=names))
    if is_noise_expected(vae, mixture):
        print(f"{out}: {NOISE_EXPECTED}")


def _guide(vae: VAE, run: Path, guidance: float, sampler: str) -> None:
    """Let the prior of the model draw with that guidance."""
    if sampler != "prior" or vae.bottleneck.num_classes is None:
        raise InputError("--guidance is one of a conditional prior; make one with: keras-vae fit-prior --conditional")
    if not hasattr(vae.prior, "guidance"):
        raise InputError(f"{run}: an exported model keeps the guidance of its prior; sample the model it came from")
    vae.prior.guidance = guidance
