"""``keras-vae train``: the whole objective on images, into a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.config import RunConfig, preset
from keras_vae.errors import InputError, TrainingEndedError
from keras_vae.files import remove_leftovers
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.run_directory import RunDirectory, read_config
from keras_vae.training.run_lock import run_lock

from .options import FilePath, Interval, StepWindow, preset_option, setting_options
from .runtime import framed_as, say, start_tensorflow

if TYPE_CHECKING:
    from keras_vae.data import ImageDataset
    from keras_vae.training import VAETrainer
    from keras_vae.training.checkpoints import Position


@click.command("train", short_help="Train a VAE into a run directory.")
@preset_option
@click.option("--config", "config_path", type=FilePath(), help="Run what a config.json describes.")
@click.option("--run-dir", type=FilePath(), help="Where to write; default runs/PRESET-latentN.")
@click.option("--resume", is_flag=True, help="Go on with the run in --run-dir from its last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Delete the run in --run-dir and start again.")
@click.option(
    "--checkpoint-every",
    "interval",
    type=Interval(),
    metavar="N|Nmin",
    help="Epochs (5) or minutes (30min) between checkpoints.  [default: an epoch, and 10min within longer ones]",
)
@click.option(
    "--profile",
    type=StepWindow(),
    is_flag=False,
    flag_value="10:20",
    metavar="[FIRST:LAST]",
    help="Trace these training steps (10:20 when not given) for TensorBoard's profile dashboard.",
)
@setting_options
def command(
    preset: str,
    config_path: Path | None,
    run_dir: Path | None,
    resume: bool,
    overwrite: bool,
    interval: CheckpointInterval | None,
    profile: tuple[int, int] | None,
    changes: dict[str, Any],
) -> None:  # TensorFlow is imported below, once the options are known to be good
    """Train a VAE, with PatchGAN and VGG16 perceptual loss, and write its run directory.

    \b
    Examples:
      keras-vae train --latent 2
      keras-vae train --latent 16 --dataset fashion_mnist --epochs 20
      keras-vae train --latent 2 --adversarial-weight 0 --perceptual-weight 0    (the ELBO alone)
      keras-vae train --resume --run-dir runs/mnist-latent2
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    if not resume:
        config = describe_run(preset, config_path, changes)
        run_dir = run_dir or Path("runs") / config.name
        start_run(config, run_dir, overwrite=overwrite, profile=profile, interval=interval)
        return
    if run_dir is None:
        raise InputError("--resume needs --run-dir, the run to go on with")
    if config_path is not None or changes:
        raise InputError("--resume goes on with the run as it was described; it takes no other settings")
    resume_run(run_dir, profile=profile, interval=interval)


def describe_run(name: str, config_path: Path | None, changes: dict[str, Any]) -> RunConfig:
    """The preset of that ``name``, or what ``config_path`` describes, with ``changes``."""
    config = read_config(config_path) if config_path else preset(name)
    return config.replace(**changes)


def start_run(
    config: RunConfig,
    run_dir: Path,
    *,
    overwrite: bool = False,
    profile: tuple[int, int] | None = None,
    interval: CheckpointInterval | None = None,
) -> None:
    """Train what ``config`` describes into a new run directory.

    Raises:
        InputError: when the place is taken, the data are not to be had, or the settings do not fit together.
        TrainingError: when training cannot go on.
        TrainingStoppedError: when it was told to stop.
    """
    RunDirectory(run_dir).check_free(overwrite=overwrite)
    start_tensorflow()
    from keras_vae.training.checkpoints import list_checkpoints
    from keras_vae.training.environment import describe_environment

    dataset = _load_dataset(config)
    config = config.replace(
        model__image_shape=dataset.image_shape,
        model__num_classes=_classes_of(config, dataset),
        data__dataset=_name_of(config, dataset),
    )
    trainer = _build(config, dataset)
    # Only now: a run that cannot start takes no other's place.
    run = RunDirectory.create(run_dir, overwrite=overwrite)
    with run_lock(run.path):
        try:
            run.write_config(config, {"data": dataset.describe(), "environment": describe_environment(config)})
            _fit(run, config, dataset, trainer, profile=profile, interval=interval)
        except BaseException as error:
            # What has no checkpoint cannot be resumed, and would only be in the way of the next try.
            if not list_checkpoints(run.checkpoints):
                run.remove()
            elif not isinstance(error, TrainingEndedError):  # whose message says it
                say(run.go_on)
            raise


def resume_run(
    run_dir: Path, *, profile: tuple[int, int] | None = None, interval: CheckpointInterval | None = None
) -> None:
    """Go on with a run from its last checkpoint.

    Raises:
        InputError: when it is no run, has no checkpoint that fits, another process trains into it, or its data are not
            to be had.
        TrainingError: when training cannot go on.
        TrainingStoppedError: when it was told to stop.
    """
    run = RunDirectory.open(run_dir)
    config = run.read_config()
    with run_lock(run.path):
        remove_leftovers(run.path)
        start_tensorflow()
        from keras_vae.training.checkpoints import restore_checkpoint

        dataset = _load_dataset(config)
        if dataset.describe() != run.read_recorded().get("data"):
            raise InputError(
                f"{dataset.name}: is not the data that {run_dir} was trained on; find that with TFDS_DATA_DIR"
            )
        trainer = _build(config, dataset)
        start = restore_checkpoint(trainer, run.checkpoints, say)
        say(f"going on after {start}")
        _fit(run, config, dataset, trainer, start=start, profile=profile, interval=interval)


def _load_dataset(config: RunConfig) -> ImageDataset:
    from keras_vae.data import load_dataset

    return load_dataset(framed_as(config.data, config.model.image_shape), say=say)


def _classes_of(config: RunConfig, dataset: ImageDataset) -> int | None:
    """How many labels the model is conditional on, if it is."""
    if not config.data.conditional:
        return config.model.num_classes
    if dataset.num_classes is None:
        raise InputError(f"{dataset.name}: has no labels, which --conditional needs; choose another --dataset")
    return dataset.num_classes


def _name_of(config: RunConfig, dataset: ImageDataset) -> str:
    """What was loaded, so that ``auto`` means the same data when the run is resumed, evaluated or repeated."""
    if config.data.dataset != "auto":
        return config.data.dataset
    return "sample" if dataset.source == "sample" else dataset.name


def _build(config: RunConfig, dataset: ImageDataset) -> VAETrainer:
    from keras_vae.data import steps_per_epoch
    from keras_vae.training.build import build_trainer

    try:
        return build_trainer(config, steps_per_epoch(dataset.train, config.data.batch_size))
    except ValueError as error:  # widths that heads or groups do not divide, say
        raise InputError(str(error)) from error


def _fit(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    *,
    start: Position | None = None,
    profile: tuple[int, int] | None,
    interval: CheckpointInterval | None,
) -> None:
    from keras_vae.callbacks import fit_run
    from keras_vae.training.checkpoints import list_checkpoints

    click.echo(_introduction(run, config, dataset, trainer))
    try:
        fit_run(run, config, dataset, trainer, start=start, profile=profile, interval=interval)
    except TrainingEndedError as error:
        if list_checkpoints(run.checkpoints):
            error.go_on = run.go_on
        raise
    click.echo(f"model, metrics and pictures are in {run.path}; next: keras-vae evaluate {run.path}")


def _introduction(run: RunDirectory, config: RunConfig, dataset: ImageDataset, trainer: VAETrainer) -> str:
    from keras_vae.training.device import choose_jit, choose_precision

    precision, jit = choose_precision(config.precision), choose_jit(config.jit)
    height, width, channels = dataset.image_shape
    lines = [
        f"{dataset.name}: {dataset.train.count:,} training and {dataset.test.count:,} test images, "
        f"{height}×{width}×{channels}",
        f"precision {precision.value} ({precision.reason}); XLA {jit.value} ({jit.reason})",
        f"VAE of {trainer.vae.count_params():,} parameters, latent {config.model.latent}; into {run.path}",
    ]
    return "\n".join(lines)
