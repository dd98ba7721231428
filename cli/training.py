"""Starting and resuming a run, alone or as one of several workers; only the chief writes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.config import RunConfig
from keras_vae.errors import InputError, TrainingEndedError
from keras_vae.files import remove_leftovers
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.cluster import Cluster, find_cluster
from keras_vae.training.execution import ONE_DEVICE, Execution
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.run_lock import run_lock

from .fine_tuning import check_apart, open_source, recorded_source, serialized
from .runtime import framed_as, say, start_tensorflow

if TYPE_CHECKING:
    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE
    from keras_vae.training import VAETrainer
    from keras_vae.training.checkpoints import Position
    from keras_vae.training.distribution import Distribution


def start_run(
    config: RunConfig,
    run_dir: Path,
    *,
    overwrite: bool = False,
    batch_size_is_given: bool = False,
    profile: tuple[int, int] | None = None,
    interval: CheckpointInterval | None = None,
    execution: Execution = ONE_DEVICE,
) -> None:
    """Train what ``config`` describes into a new run directory.

    A run that ends before its first step leaves nothing. One that has made a step is kept, and can be resumed.

    Args:
        config: what to train.
        run_dir: where to.
        overwrite: delete an existing run.
        batch_size_is_given: whether a batch size above the number of training images is an error. Otherwise it is
            taken down to that number.
        profile: first and last training step to trace, counted from 1.
        interval: when to write checkpoints.
        execution: on which devices, in how many passes.

    Raises:
        InputError: if the place is taken, the data cannot be loaded, or the settings do not fit together.
        TrainingError: if training cannot go on.
        TrainingStoppedError: if a signal stopped it.
    """
    execution.check(config)  # everything that can be checked before TensorFlow is loaded
    if config.from_model is not None:
        check_apart(Path(config.from_model), run_dir)
    cluster = _cluster_for(execution)
    run = RunDirectory(run_dir)
    if cluster.size == 1:
        run.check_free(overwrite=overwrite)
    distribution = _start(execution, cluster)
    source = None
    if config.from_model is not None:
        from keras_vae.training.fine_tuning import with_source

        source = open_source(Path(config.from_model))
        config = with_source(config, source)
    from keras_vae.training.environment import describe_environment

    replicas = distribution.strategy.num_replicas_in_sync
    early: list[tuple[ImageDataset, RunConfig, VAETrainer]] = []

    def fitted(found: ImageDataset) -> RunConfig:
        return _fitted(config, found, source, None if batch_size_is_given else replicas * execution.accumulate)

    def build_early(found: ImageDataset) -> None:
        described = fitted(found)
        early.append((found, described, _build(described, found, execution, distribution, source)))

    with distribution.together():
        if cluster.is_chief:
            run.check_free(overwrite=overwrite)
        # Several workers first agree on the data that they have read.
        dataset = _load_dataset(config, build_early if cluster.size == 1 else None)
        trainer = None
        if early and early[0][0].num_classes == dataset.num_classes:
            _, config, trainer = early[0]
        else:
            config = fitted(dataset)
    trainer = trainer or _build(config, dataset, execution, distribution, source)
    from keras_vae.training.pseudo_inputs import start_pseudo_inputs

    if source is None:
        start_pseudo_inputs(trainer, dataset.train, config.seed)
    if cluster.is_chief:
        recorded = {"data": dataset.describe(), "environment": describe_environment(config, replicas)}
        if source is not None:
            recorded["model"] = serialized(trainer.vae)
        # Only now, so that a run that cannot start does not replace another.
        run = RunDirectory.create(run_dir, config, recorded, overwrite=overwrite)
    with run_lock(run.path) if cluster.is_chief else contextlib.nullcontext():
        if cluster.is_chief:
            remove_leftovers(run.path)
        try:
            _fit(run, config, dataset, trainer, distribution, profile=profile, interval=interval)
        except BaseException:
            if cluster.is_chief and not trainer.steps_made:
                run.remove()  # nothing is lost, and the next attempt finds the place free
            raise


def resume_run(
    run_dir: Path,
    *,
    epochs: int | None = None,
    profile: tuple[int, int] | None = None,
    interval: CheckpointInterval | None = None,
    execution: Execution = ONE_DEVICE,
) -> None:
    """Continue a run from its last checkpoint, or from its beginning if it has none yet.

    A finished run stays as it is, unless ``epochs`` asks for more.

    Args:
        run_dir: of the run.
        epochs: how many the run should have in all; None for those in its description.
        profile, interval, execution: as for `start_run`.

    Raises:
        InputError: if there is no run, none of its checkpoints fits, it has more epochs already, another process
            trains into it, or its data cannot be loaded.
        TrainingError: if training cannot go on.
        TrainingStoppedError: if a signal stopped it.
    """
    if RunDirectory(run_dir).is_empty():
        raise InputError(f"{run_dir}: no training has begun here; start it without --resume")
    run = RunDirectory.open(run_dir)
    planned = run.read_config()
    config = planned if epochs is None else planned.replace(epochs=epochs)
    if (done := run.finished_epochs()) is not None:
        if config.epochs < done:
            raise _too_few_epochs(run, f"epoch {done}", done)
        if config.epochs == done:
            click.echo(
                f"{run.path}: finished at epoch {done} and stays as it is; train it longer with "
                f"--epochs {2 * done}, or measure it with: keras-vae evaluate {run.path}"
            )
            return
    cluster = _cluster_for(execution)
    # Only the chief writes: the other workers neither lock nor tidy up.
    with run_lock(run.path) if cluster.is_chief else contextlib.nullcontext():
        if cluster.is_chief:
            remove_leftovers(run.path)
            run.make_folders()
        distribution = _start(execution, cluster)
        with distribution.together():
            dataset = _load_recorded(config, run)
        source = recorded_source(config, run) if config.from_model is not None else None
        trainer = _build(config, dataset, execution, distribution, source)
        start = _restore(trainer, run, distribution)
        if (least := start.epochs + bool(start.steps)) > config.epochs:
            raise _too_few_epochs(run, str(start), least)
        if config != planned and cluster.is_chief:
            recorded = run.read_recorded()
            change = {"after": str(start), "epochs_before": planned.epochs, "epochs": config.epochs}
            run.write_config(config, {**recorded, "changes": [*recorded.get("changes", []), change]})
        _fit(run, config, dataset, trainer, distribution, start=start, profile=profile, interval=interval)


def _too_few_epochs(run: RunDirectory, reached: str, least: int) -> InputError:
    return InputError(f"{run.path}: has been trained up to {reached} already; --epochs must be at least {least}")


def _cluster_for(execution: Execution) -> Cluster:
    """The workers that train together. Strategies for one machine run alone, whatever TF_CONFIG says."""
    return find_cluster() if execution.strategy in ("auto", "multi-worker") else Cluster()


def _start(execution: Execution, cluster: Cluster) -> Distribution:
    """Start TensorFlow and wait for the other workers, if there are any."""
    start_tensorflow()
    from keras_vae.training.distribution import build_distribution

    if cluster.size > 1:
        say(f"worker {cluster.index}{' (the chief)' if cluster.is_chief else ''} of {cluster.size}, waiting for all")
    return build_distribution(execution.strategy, cluster)


def _restore(trainer: VAETrainer, run: RunDirectory, distribution: Distribution) -> Position:
    """Load the newest checkpoint that the chief finds whole, on every worker; or none, if the run has none yet."""
    from keras_vae.training.checkpoints import Position, has_begun, load_checkpoint, restore_checkpoint

    found, is_chief = Position(0), distribution.cluster.is_chief
    with distribution.together():
        if is_chief and (has_begun(run.checkpoints) or run.model.is_file()):
            found = restore_checkpoint(trainer, run.checkpoints, say)
    start = Position(*map(distribution.from_chief, found))
    is_new = start == Position(0)
    with distribution.together():
        if not (is_chief or is_new):
            load_checkpoint(trainer, run.checkpoints, start)
    if is_chief:
        say("there is no checkpoint yet: starting from the beginning" if is_new else f"continuing after {start}")
    return start


def _load_dataset(config: RunConfig, meanwhile: Callable[[ImageDataset], None] | None = None) -> ImageDataset:
    from keras_vae.data import load_dataset

    return load_dataset(framed_as(config.data, config.model.image_shape), say=say, meanwhile=meanwhile)


def _fitted(config: RunConfig, dataset: ImageDataset, source: VAE | None, parts: int | None) -> RunConfig:
    """The run of this data set; unless ``parts`` is None, with a batch of at most its training images."""
    config = config.replace(
        model__image_shape=dataset.image_shape,
        model__num_classes=_classes_of(config, dataset),
        data__dataset=_name_of(config, dataset),
    )
    if source is not None:
        from keras_vae.training.fine_tuning import with_images_checked

        config = with_images_checked(config, source)
    return config if parts is None else _with_fitting_batch(config, dataset.train.count, parts)


def _load_recorded(config: RunConfig, run: RunDirectory) -> ImageDataset:
    """The data that the run was trained on so far, its classes with the same numbers.

    Raises:
        InputError: if they are other data now.
    """
    from keras_vae.data.recorded import difference, numbered_as_recorded

    recorded = run.read_recorded().get("data")
    dataset = _load_dataset(config)
    dataset = numbered_as_recorded(dataset, recorded) if isinstance(recorded, dict) else dataset
    if found := difference(dataset.describe(), recorded):
        raise InputError(
            f"{dataset.name}: is not the data that {run.path} was trained on ({found}); "
            "find that with TFDS_DATA_DIR, or bring the files back"
        )
    return dataset


def _with_fitting_batch(config: RunConfig, count: int, parts: int) -> RunConfig:
    """Reduce a batch larger than the ``count`` training images to that number, or a multiple of ``parts`` below it."""
    fitting = count - count % parts
    if config.data.batch_size <= count or not fitting:
        return config
    say(f"batch size reduced from {config.data.batch_size} to {fitting}: there are {count} training images")
    return config.replace(data__batch_size=fitting)


def _classes_of(config: RunConfig, dataset: ImageDataset) -> int | None:
    """How many labels the model is conditional on, if it is."""
    if not config.data.conditional:
        return config.model.num_classes
    if dataset.num_classes is None:
        why = f" ({dataset.unlabelled})" if dataset.unlabelled else ""
        raise InputError(
            f"{dataset.name}: has no labels, which --conditional needs{why}; "
            f"{'put each class into a folder' if why else 'choose another --dataset'}"
        )
    return dataset.num_classes


def _name_of(config: RunConfig, dataset: ImageDataset) -> str:
    """What was loaded, so that ``auto`` means the same data when the run is resumed, evaluated or repeated."""
    if config.data.dataset != "auto":
        return config.data.dataset
    return "sample" if dataset.source == "sample" else dataset.name


def _build(
    config: RunConfig,
    dataset: ImageDataset,
    execution: Execution,
    distribution: Distribution,
    source: VAE | None = None,
) -> VAETrainer:
    from keras_vae.data import steps_per_epoch
    from keras_vae.training.build import build_trainer

    same = {"config": config.as_dict(), "data": dataset.describe(), "execution": dataclasses.asdict(execution)}
    distribution.check_same(same)
    try:
        with distribution.strategy.scope():
            return build_trainer(config, steps_per_epoch(dataset.train, config.data.batch_size), execution, source)
    except ValueError as error:  # widths that heads or groups do not divide, say
        raise InputError(str(error)) from error


def _fit(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    distribution: Distribution,
    *,
    start: Position | None = None,
    profile: tuple[int, int] | None,
    interval: CheckpointInterval | None,
) -> None:
    from keras_vae.callbacks import fit_run
    from keras_vae.callbacks.model_pictures import NOISE_EXPECTED, is_noise_expected

    is_chief = distribution.cluster.is_chief
    if is_chief:
        click.echo(_introduction(run, config, dataset, trainer, distribution))
    try:
        fit_run(
            run, config, dataset, trainer, start=start, profile=profile, interval=interval, distribution=distribution
        )
    except BaseException as error:
        if trainer.steps_made and run.is_run():
            if isinstance(error, TrainingEndedError):
                error.go_on = run.go_on
            elif is_chief:
                say(run.go_on)
        raise
    if is_chief:
        parts = "model, metrics and pictures" if config.pictures else "model and metrics"
        click.echo(f"{parts} are in {run.path}; next: keras-vae evaluate {run.path}")
        if config.pictures and is_noise_expected(trainer.vae):
            click.echo(f"{run.plots / 'samples.png'}: {NOISE_EXPECTED}")


def _introduction(
    run: RunDirectory, config: RunConfig, dataset: ImageDataset, trainer: VAETrainer, distribution: Distribution
) -> str:
    from keras_vae.data.class_names import describe_classes
    from keras_vae.training.device import choose_jit, choose_precision

    replicas = distribution.strategy.num_replicas_in_sync
    precision, jit = choose_precision(config.precision), choose_jit(config.jit, replicas)
    height, width, channels = dataset.image_shape
    lines = [
        f"{dataset.name}: {dataset.train.count:,} training and {dataset.test.count:,} test images, "
        f"{height}×{width}×{channels}",
        f"precision {precision.value} ({precision.reason}); XLA {jit.value} ({jit.reason})",
        f"{type(trainer.vae).__name__} of {trainer.vae.count_params():,} parameters, latent {config.model.latent}; "
        f"into {run.path}",
    ]
    if config.from_model is not None:
        frozen = f", its {config.freeze} frozen" if config.freeze else ""
        lines.insert(-1, f"starting from the weights of {config.from_model}{frozen}")
    if dataset.class_names:
        lines.insert(1, f"classes: {describe_classes(dataset.class_names, dataset.class_counts)}")
    if replicas > 1:
        lines.insert(-1, f"{replicas} replicas, {config.data.batch_size // replicas} images of a batch each")
    return "\n".join(lines)
