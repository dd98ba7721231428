"""``keras-vae export``: publish a trained model for TensorFlow Serving, with TFLite and ONNX files beside it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.config import DataConfig
from keras_vae.errors import InputError
from keras_vae.export.manifest import Manifest, read_manifest
from keras_vae.export.onnx_packages import check_onnx_packages
from keras_vae.export.publish import MOST_VERSION, check_target, model_root
from keras_vae.training.run_directory import RunDirectory

from .options import json_option, run_argument, with_data_options
from .runtime import exported_version, open_dataset, open_model, say, stderr_held_back, without_squares
from .values import FilePath, Size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from keras_vae.data import Split
    from keras_vae.export.model_card import Training
    from keras_vae.models import VAE

# Training images: one half calibrates the TFLite files, the other half compares every file with the Keras model.
IMAGES = 400


@click.command("export", short_help="Publish a model for serving and devices.")
@run_argument
@click.option(
    "--to",
    type=FilePath(),
    default=Path("exports"),
    show_default=True,
    help="Folder of the exported models; the version goes to NAME/VERSION in it.",
)
@click.option("--name", help="Name of the model.  [default: the run's]")
@click.option(
    "--version", type=click.IntRange(1, MOST_VERSION), help="Number of the version; by default the UTC time in seconds."
)
@click.option(
    "--tflite/--no-tflite", default=True, show_default=True, help="Write TFLite files in fp32, fp16 and int8."
)
@click.option("--int8-float-io", is_flag=True, help="Give the int8 files float32 inputs and outputs.")
@click.option("--onnx", is_flag=True, help="Write ONNX files too (needs the extra onnx).")
@click.option(
    "--image-size",
    type=Size(),
    metavar="H[xW]",
    help="Height and width of the exported model's images, where the latent is spatial; by default the model's.",
)
@click.option(
    "--scorer",
    type=FilePath(),
    metavar="FILE",
    help="Also publish this scorer, which keras-vae score --scorer wrote: a signature and a TFLite file.",
)
@with_data_options
@json_option
def command(
    run: Path,
    to: Path,
    name: str | None,
    version: int | None,
    image_size: tuple[int, int] | None,
    tflite: bool,
    int8_float_io: bool,
    onnx: bool,
    scorer: Path | None,
    dataset: str | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Publish RUN for TensorFlow Serving, LiteRT and ONNX Runtime.

    RUN is a run directory, a .keras file, or a published model such as mnist-latent16. Every file is written beside
    the existing versions and compared with the Keras model on real images; then the folder is renamed to
    exports/NAME/VERSION. A run that has not been evaluated is evaluated first, for the model card.

    \b
    Examples:
      keras-vae export runs/mnist-latent2
      keras-vae export runs/mnist-latent2 --name digits --version 3 --no-tflite
      keras-vae export model.keras --dataset mnist --to /srv/models --json
      keras-vae export mnist-latent4 --dataset sample --onnx
      keras-vae export runs/parts --scorer scorer.keras
      keras-vae export sd15.keras --image-size 512 --dataset folder:photos
    """
    published = export_run(
        run,
        to,
        name=name,
        version=version,
        image_size=image_size,
        tflite=tflite,
        float_io=int8_float_io,
        onnx=onnx,
        scorer=scorer,
        dataset=dataset,
        data_dir=data_dir,
    )
    manifest = read_manifest(published)
    if as_json:
        click.echo(json.dumps({"path": str(published), **manifest.as_dict()}, indent=2))
    else:
        click.echo("\n".join(_summary(published, manifest)))


def export_run(
    path: Path,
    to: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    image_size: tuple[int, int] | None = None,
    tflite: bool = True,
    float_io: bool = False,
    onnx: bool = False,
    scorer: Path | None = None,
    dataset: str | None = None,
    data_dir: str | None = None,
) -> Path:
    """Publish a model as ``to/name/version`` and return that folder.

    A run that has not been evaluated is evaluated first. With ``image_size`` a model with a spatial latent is published
    for images of another height and width, without figures. For the other arguments see
    `keras_vae.export.export.export_saved_model`.

    Raises:
        InputError: if the model or the data cannot be opened or do not fit each other, the name is not valid, the
            version is taken, or the place cannot be written.
    """
    if scorer is not None and not scorer.is_file():
        raise InputError(f"{scorer}: no such file; write one with keras-vae score --scorer")
    if exported_version(path):
        raise InputError(f"{path}: is exported already; give the run directory or the .keras file")
    # Checked before minutes of work.
    if onnx:
        check_onnx_packages()
    place = path.resolve()
    root = model_root(to, name or (place.stem if path.is_file() else place.name))
    check_target(root, version)
    run = RunDirectory(path)
    evaluation = training = None
    if run.is_run():
        # Figures are those of one size of images.
        evaluation = _evaluation(run) if image_size is None else None
        training = _training(run)
    vae, config = open_model(path)
    if training is None:
        say(f"{path} is not a run directory, so the model card will say nothing about training and metrics")
    if image_size is not None:
        vae = _sized(vae, image_size)
        config = without_squares(config or DataConfig()).replace(image_size=image_size)
    images, labels = _real_images(open_dataset(path, config, dataset, data_dir, vae).train)
    # Converter, interpreter and SavedModel loader log lines that are not for users.
    with stderr_held_back() as say_beside:
        from keras_vae.export.export import export_saved_model  # deferred: it imports TensorFlow
        from keras_vae.scoring import load_scorer

        return export_saved_model(
            vae,
            root,
            images=images,
            labels=labels,
            version=version,
            data=run.read_recorded().get("data") if training else None,
            evaluation=evaluation,
            training=training,
            scorer=None if scorer is None else load_scorer(scorer),
            tflite=tflite,
            onnx=onnx,
            float_io=float_io,
            say=say_beside,
        )


def _evaluation(run: RunDirectory) -> dict[str, Any]:
    """The run's figures, measured first if there are none."""
    evaluation = run.read_evaluation()
    if evaluation is None:
        say(f"{run.path} has not been evaluated yet: evaluating it")
        from .evaluate import evaluate_run  # deferred: not every export needs it

        evaluation = evaluate_run(run.path)
    # The published report must not name folders of this machine.
    return {**evaluation, "model": f"runs/{run.path.resolve().name}"}


def _sized(vae: VAE, image_size: tuple[int, int]) -> VAE:
    from keras_vae.models.copies import copy_of, shapes_for  # deferred: they import Keras

    return copy_of(vae, **shapes_for(vae, *image_size))


def _real_images(split: Split) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32] | None]:
    """Images spread over the split, which may be sorted; from a split on disk the first ones. Of large ones, few."""
    import numpy as np

    from keras_vae.data.dataset import ArraySplit
    from keras_vae.models.batches import images_at_a_time

    most = min(IMAGES, 2 * images_at_a_time(split.image_shape))
    images, labels = split.first(split.count if isinstance(split, ArraySplit) else most)
    chosen = np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)
    return images[chosen], None if labels is None else labels[chosen]


def _training(run: RunDirectory) -> Training:
    from keras_vae.export.model_card import Training  # deferred: Jinja comes with it

    rows = run.read_metrics()
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    environment = run.read_recorded().get("environment")
    return Training(
        path=run.path,
        config=run.read_config(),
        environment=environment if isinstance(environment, dict) else {},
        epochs=len(rows),
        seconds=sum(seconds) if len(seconds) == len(rows) else None,
    )


def _summary(folder: Path, manifest: Manifest) -> list[str]:
    total = sum(said["size"] for said in manifest.files.values())
    model = sum(
        said["size"] for name, said in manifest.files.items() if name.startswith(("saved_model.pb", "variables"))
    )
    furthest = max(said["difference"] for said in manifest.signatures.values())
    rows = [("SavedModel", model, furthest, "largest absolute difference from the Keras model")]
    rows += [
        (said["path"], said["size"], said["difference"], said["measure"]) for said in (*manifest.tflite, *manifest.onnx)
    ]
    mount = f"{folder.parent.absolute()}:/models/{manifest.name}"
    serving = ["docker", "run", "--rm", "-p", "8501:8501", "-v", mount, "-e", f"MODEL_NAME={manifest.name}"]
    return [
        f"published {folder} ({len(manifest.files)} files, {total / 1e6:.1f} MB)",
        *(
            f"  {name:<28}{size / 1000:>8,.0f} kB   {difference:.2g} {measure}"
            for name, size, difference, measure in rows
        ),
        f"serve it with: {shlex.join([*serving, 'tensorflow/serving'])}",
    ]
