"""``keras-vae convert``: the autoencoder of a diffusion model from a diffusers folder to Keras, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.errors import InputError

from .options import json_option
from .outputs import check_output
from .runtime import is_diffusers_folder, open_model, start_tensorflow
from .values import FilePath, Size

if TYPE_CHECKING:
    from keras_vae.models import AutoencoderKL


@click.command("convert", short_help="Turn a diffusers autoencoder into a .keras file, or back.")
@click.argument("source", type=FilePath())
@click.argument("target", type=FilePath())
@click.option(
    "--image-size",
    type=Size(),
    metavar="H[xW]",
    help="Height and width of the Keras model's images; by default the diffusers model's sample_size.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is at TARGET.")
@json_option
def command(source: Path, target: Path, image_size: tuple[int, int] | None, overwrite: bool, as_json: bool) -> None:
    """Convert SOURCE, a diffusers folder with an AutoencoderKL, to TARGET, a .keras file, or the other way round.

    Such models are the autoencoders of Stable Diffusion 1 to 3, SDXL and FLUX.1. The folder is that of the model, or of
    a pipeline with the model in vae. What is written is read back and compared with the model before it appears. All
    other commands take the .keras file as their RUN. Needs the extra diffusers.

    \b
    Examples:
      keras-vae convert stable-diffusion-v1-5/vae sd15.keras
      keras-vae convert stable-diffusion-v1-5 sd15.keras --image-size 256 --overwrite
      keras-vae convert sd15.keras tuned/vae --json
    """
    to_keras = target.suffix.lower() == ".keras"
    if to_keras:
        check_output(target, overwrite=overwrite, suffix=".keras")
    vae = _read_diffusers(source, image_size) if to_keras else _read_keras(source, target, image_size)
    from keras_vae.export import convert  # deferred: it imports TensorFlow

    try:
        if to_keras:
            difference = convert.write_keras(vae, target)
        else:
            difference = convert.write_diffusers(vae, target, overwrite=overwrite)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error
    figures = {
        "source": str(source),
        "target": str(target),
        "image_shape": vae.image_shape,
        "latent_shape": vae.latent_shape,
        "parameters": vae.encoder.count_params() + vae.decoder.count_params(),
        "largest_difference": difference,
    }
    click.echo(json.dumps(figures, indent=2) if as_json else _text(figures))


def _read_diffusers(source: Path, image_size: tuple[int, int] | None) -> AutoencoderKL:
    if source.exists() and not is_diffusers_folder(source):
        raise InputError(
            f"{source}: is no diffusers folder, which a .keras file can be made of; for a diffusers folder name a "
            "TARGET without .keras"
        )
    start_tensorflow()
    from keras_vae.models import AutoencoderKL
    from keras_vae.models.diffusers_folder import model_folder, read_architecture

    image_shape = None
    if image_size is not None:
        image_shape = (*image_size, read_architecture(model_folder(source)).image_shape[2])
    return AutoencoderKL.from_diffusers(source, image_shape)


def _read_keras(source: Path, target: Path, image_size: tuple[int, int] | None) -> AutoencoderKL:
    if is_diffusers_folder(source):
        raise InputError(f"{target}: the name must end in .keras, because SOURCE is a diffusers folder")
    if image_size is not None:
        raise InputError("--image-size is for a diffusers SOURCE; a .keras file has its own")
    vae, _ = open_model(source)
    from keras_vae.models import AutoencoderKL

    if not isinstance(vae, AutoencoderKL):
        raise InputError(f"{source}: is a {type(vae).__name__}, and diffusers has only AutoencoderKL; use export")
    return vae


def _text(figures: dict[str, object]) -> str:
    shapes = {name: "×".join(map(str, figures[name])) for name in ("image_shape", "latent_shape")}  # type: ignore[call-overload]
    return (
        f"wrote {figures['target']}: {figures['parameters']:,} parameters, images {shapes['image_shape']}, latents "
        f"{shapes['latent_shape']}; read back, its weights are the same, and pixels differ by at most "
        f"{figures['largest_difference']:.1g}"
    )
