"""``keras-vae experiment``: one run at several latent sizes, trained, evaluated, exported and compared."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keras_vae.config import RunConfig
from keras_vae.errors import InputError, TrainingEndedError
from keras_vae.export.publish import list_versions, model_root
from keras_vae.files import write_text
from keras_vae.training.run_directory import RunDirectory

from .compare import compare_runs
from .evaluate import evaluate_run
from .export import export_run
from .grouped_help import GroupedCommand, grouped_option
from .options import RUN, START, setting_options, start_options, was_given
from .runtime import say
from .train import describe_run
from .training import resume_run, start_run
from .values import FilePath, Numbers

DESCRIPTION = "experiment.json"


@click.command("experiment", cls=GroupedCommand, short_help="Train and compare several latent sizes.")
@grouped_option("--latents", type=Numbers(), group=START, help="Latent sizes to compare.  [default: 2,4,16]")
@start_options
@setting_options
@grouped_option(
    "--run-dir", type=FilePath(), group=RUN, help="Folder of the experiment.  [default: runs/PRESET-experiment]"
)
@grouped_option(
    "--resume",
    is_flag=True,
    group=RUN,
    help="Continue the experiment in --run-dir; finished parts are not repeated.",
)
@grouped_option("--overwrite", is_flag=True, group=RUN, help="Delete the experiment in --run-dir and start again.")
@grouped_option(
    "--export/--no-export",
    default=True,
    show_default=True,
    group=RUN,
    help="Export each model to RUN_DIR/exports.",
)
def command(
    latents: tuple[int, ...] | None,
    preset: str,
    config_path: Path | None,
    run_dir: Path | None,
    resume: bool,
    overwrite: bool,
    export: bool,
    changes: dict[str, Any],
) -> None:
    """Train, evaluate, export and compare one run at several latent sizes.

    In --run-dir each run is latentN, its exported model is exports/PRESET-latentN, and comparison/report.html shows
    them side by side. The other options are those of train; they apply to every run.

    \b
    Examples:
      keras-vae experiment --latents 2,4,16
      keras-vae experiment --latents 2,4,16 --dataset sample --epochs 3
      keras-vae experiment --resume --run-dir runs/mnist-experiment
    """
    if resume and overwrite:
        raise InputError("--resume and --overwrite exclude each other")
    if resume:
        if run_dir is None:
            raise InputError("--resume needs --run-dir, the experiment to continue")
        if latents or config_path or changes or was_given("preset"):
            raise InputError("--resume continues the experiment as it was described; it takes no other settings")
        _carry_out(run_dir, *_read_description(run_dir), export=export)
        return
    if changes.keys() & {"model__latent_dim", "model__latent_shape"}:
        raise InputError(
            "an experiment has --latents in place of --latent: the sizes to compare, such as --latents 2,4,16"
        )
    if "from_model" in changes:
        raise InputError("an experiment compares latent sizes, but --from has one; use train")
    latents = latents or (2, 4, 16)
    config = describe_run(preset, config_path, changes)
    _check_latents(latents, config)
    run_dir = run_dir or Path("runs") / f"{config.preset}-experiment"
    with _new_experiment(run_dir, latents, config, overwrite=overwrite):
        _carry_out(run_dir, latents, config, export=export, batch_size_is_given="data__batch_size" in changes)


# Hidden but still parsed, so that the error message can say what to use.
for option in command.params:
    if isinstance(option, click.Option) and {"--latent", "--from", "--freeze"} & set(option.opts):
        option.hidden = True


def _carry_out(
    folder: Path, latents: tuple[int, ...], config: RunConfig, *, export: bool, batch_size_is_given: bool = False
) -> None:
    """Train, evaluate and export each run unless that is done already, and compare the runs."""
    runs = [RunDirectory(folder / f"latent{latent}") for latent in latents]
    try:
        _make_runs(runs, latents, config, folder / "exports" if export else None, batch_size_is_given)
        compare_runs([run.path for run in runs], folder / "comparison", overwrite=True)
    except BaseException as error:
        go_on = f"go on with: keras-vae experiment --resume --run-dir {folder}"
        if isinstance(error, TrainingEndedError):
            error.go_on = go_on
        elif any(run.is_run() for run in runs):
            say(go_on)
        raise


def _make_runs(
    runs: list[RunDirectory],
    latents: tuple[int, ...],
    config: RunConfig,
    exports: Path | None,
    batch_size_is_given: bool,
) -> None:
    for number, (latent, run) in enumerate(zip(latents, runs, strict=True), start=1):
        click.echo(f"latent {latent} ({number} of {len(runs)})")
        described = config.replace(model__latent_dim=latent, model__latent_shape=None)
        _train(run, described, batch_size_is_given)
        if run.read_evaluation() is None:
            click.echo(f"evaluating {run.path}")
            evaluate_run(run.path)
        if exports:
            _export(run, exports, described.name)
        # The first run decides what "auto" means for all of them.
        config = config.replace(data__dataset=run.read_config().data.dataset)
        _free_memory()


def _train(run: RunDirectory, config: RunConfig, batch_size_is_given: bool) -> None:
    if run.finished_epochs() is not None:
        return
    if run.is_run():
        resume_run(run.path)
    else:
        start_run(config, run.path, batch_size_is_given=batch_size_is_given)


def _export(run: RunDirectory, exports: Path, name: str) -> None:
    root = model_root(exports, name)
    if not root.is_dir() or not list_versions(root):
        click.echo(f"exporting {run.path}")
        export_run(run.path, exports, name=name)


def _free_memory() -> None:
    import keras  # deferred: it takes seconds

    keras.backend.clear_session()


def _check_latents(latents: tuple[int, ...], config: RunConfig) -> None:
    if len(set(latents)) < len(latents):
        raise InputError(f"latents must differ from one another, got {','.join(map(str, latents))}")
    for latent in latents:
        config.replace(model__latent_dim=latent, model__latent_shape=None)  # checks its bounds


@contextmanager
def _new_experiment(folder: Path, latents: tuple[int, ...], config: RunConfig, *, overwrite: bool) -> Iterator[None]:
    """Create the experiment's directory. If the block fails before a run has begun, restore what was there.

    Raises:
        InputError: if the place is taken or cannot be written.
    """
    is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if is_taken and not os.path.isfile(folder / DESCRIPTION):
        raise InputError(f"{folder}: exists and is not an experiment; choose another --run-dir")
    if is_taken and not overwrite:
        raise InputError(
            f"{folder}: there is an experiment already; go on with --resume, start again with --overwrite, "
            "or choose another --run-dir"
        )
    old = folder.with_name(f".{uuid.uuid4().hex}.{folder.name}") if is_taken else None
    try:
        if old:
            folder.rename(old)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / DESCRIPTION, json.dumps({"latents": latents, "config": config.as_dict()}, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{folder}: cannot make the experiment's directory ({error.strerror or error})") from error
    try:
        yield
    except BaseException:
        if not any(RunDirectory(path).is_run() for path in folder.iterdir()):
            shutil.rmtree(folder)
            if old:
                old.rename(folder)
        raise
    finally:
        if old:
            shutil.rmtree(old, ignore_errors=True)


def _read_description(folder: Path) -> tuple[tuple[int, ...], RunConfig]:
    path = folder / DESCRIPTION
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        latents, config = tuple(map(int, values["latents"])), values["config"]
    except FileNotFoundError as error:
        raise InputError(f"{folder}: not an experiment (it has no {DESCRIPTION})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: is not the description of an experiment") from error
    return latents, RunConfig.from_dict(config)
