"""``keras-vae train``: the whole objective on images, into a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keras_vae.config import FINE_TUNING, PUBLISHED, RunConfig, preset, published_run
from keras_vae.errors import InputError
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.execution import STRATEGIES, Execution
from keras_vae.training.run_directory import RunDirectory, read_config

from .grouped_help import GroupedCommand, grouped_option
from .options import RUN, setting_options, start_options, was_given
from .runtime import with_dataset
from .training import resume_run, start_run
from .values import Choice, FilePath, Interval, StepWindow


@click.command("train", cls=GroupedCommand, short_help="Train a VAE into a run directory.")
@start_options
@setting_options
@grouped_option("--run-dir", type=FilePath(), group=RUN, help="Folder of the run.  [default: runs/PRESET-latentN]")
@grouped_option("--resume", is_flag=True, group=RUN, help="Go on with the run in --run-dir; --epochs trains it longer.")
@grouped_option("--overwrite", is_flag=True, group=RUN, help="Delete the run in --run-dir and start again.")
@grouped_option(
    "--checkpoint-every",
    "interval",
    type=Interval(),
    metavar="N|Nmin",
    group=RUN,
    is_common=False,
    help="Epochs (5) or minutes (30min) between checkpoints.  [default: an epoch, and 10min within longer ones]",
)
@grouped_option(
    "--profile",
    type=StepWindow(),
    is_flag=False,
    flag_value="10:20",
    metavar="[FIRST:LAST]",
    group=RUN,
    is_common=False,
    help="Trace these training steps (10:20 when not given) for TensorBoard's profile dashboard.",
)
@grouped_option(
    "--strategy",
    type=Choice(STRATEGIES),
    default="auto",
    show_default=True,
    group=RUN,
    is_common=False,
    help="Train on one device, on all of this machine (mirrored), or on the workers that TF_CONFIG or Slurm names.",
)
@grouped_option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    group=RUN,
    is_common=False,
    help="Split each batch into so many passes and update once: less memory, the same result.",
)
@grouped_option(
    "--recompute",
    is_flag=True,
    group=RUN,
    is_common=False,
    help="Compute blocks a second time for the gradient: less memory.",
)
def command(
    preset: str,
    config_path: Path | None,
    run_dir: Path | None,
    resume: bool,
    overwrite: bool,
    interval: CheckpointInterval | None,
    profile: tuple[int, int] | None,
    strategy: str,
    accumulate: int,
    recompute: bool,
    changes: dict[str, Any],
) -> None:  # TensorFlow is imported below, once the options are known to be good
    """Train a VAE, with PatchGAN and VGG16 perceptual loss, and write its run directory.

    \b
    Examples:
      keras-vae train --latent 2
      keras-vae train --latent 16 --dataset fashion_mnist --epochs 20
      keras-vae train --latent 2 --adversarial-weight 0 --perceptual-weight 0    (the ELBO alone)
      keras-vae train --from mnist-latent16 --freeze encoder --dataset fashion_mnist
      keras-vae train --resume --run-dir runs/mnist-latent2
      keras-vae train --resume --run-dir runs/mnist-latent2 --epochs 20         (longer)
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    execution = Execution(strategy, accumulate, recompute)
    if not resume:
        config = describe_run(preset, config_path, changes)
        run_dir = run_dir or Path("runs") / config.name
        start_run(
            config,
            run_dir,
            overwrite=overwrite,
            batch_size_is_given="data__batch_size" in changes,
            profile=profile,
            interval=interval,
            execution=execution,
        )
        return
    if run_dir is None:
        raise InputError("--resume needs --run-dir, the run to go on with")
    epochs = changes.pop("epochs", None)
    if config_path is not None or changes or was_given("preset"):
        raise InputError("--resume goes on with the run as it was described; the only setting it takes is --epochs")
    resume_run(run_dir, epochs=epochs, profile=profile, interval=interval, execution=execution)


def describe_run(name: str, config_path: Path | None, changes: dict[str, Any]) -> RunConfig:
    """The preset of that ``name``, or what ``config_path`` (a config.json or its run) describes, with ``changes``.

    Fine-tuning starts from the settings of the run that the model is from, unless a preset or a file is given.

    Raises:
        InputError: if ``changes`` would give a model that exists another architecture, or a preset needs one.
    """
    if config_path and config_path.is_dir():
        config_path /= "config.json"
    source = changes.get("from_model")
    if config_path:
        config = read_config(config_path)
    elif source is not None and not was_given("preset"):
        config = _settings_of(Path(source), changes) or preset(name)
    else:
        config = preset(name)
    config = config.replace(**changes)
    if config.from_model is None and config.preset in FINE_TUNING:
        raise InputError(f"preset {config.preset} fine-tunes a model: give it with --from")
    if config.from_model is None and config.freeze:
        raise InputError(f"--freeze keeps the {config.freeze} of a trained model: give it with --from")
    if source is not None:
        for key in changes:
            if key.startswith("model__") and key not in ("model__likelihood", "model__scale"):
                option = "latent" if "latent" in key else key.removeprefix("model__").replace("_", "-")
                raise InputError(f"{source} has its own {option}: leave that out, or train without --from")
    return config


def _settings_of(source: Path, changes: dict[str, Any]) -> RunConfig | None:
    """Those of the run at ``source`` or of the published model of that name; None for any other model."""
    run = RunDirectory(source)
    if run.is_run():
        config = run.read_config().replace(from_model=None, freeze=None)
        dataset = changes.get("data__dataset", config.data.dataset)
        if dataset != config.data.dataset:
            config = config.replace(data=with_dataset(config.data, dataset))
        return config
    return published_run(source.name) if str(source) in PUBLISHED else None
