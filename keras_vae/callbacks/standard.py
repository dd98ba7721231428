"""Training into a run directory: the callbacks that fill it, and the fit that they watch."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import keras
import tensorflow as tf

from keras_vae.callbacks.checkpoint import Checkpoints
from keras_vae.callbacks.evaluation import TrainEvaluation
from keras_vae.callbacks.figures import StepFigures
from keras_vae.callbacks.frames import LatentFrames
from keras_vae.callbacks.history import MetricsHistory
from keras_vae.callbacks.outcome import Outcome
from keras_vae.callbacks.pictures import Pictures
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.callbacks.profiler import Profiler
from keras_vae.callbacks.progress import Progress
from keras_vae.callbacks.projector import EmbeddingProjector
from keras_vae.callbacks.rest_of_training import PartOfTraining
from keras_vae.callbacks.stopping import StopSignals, StopTogether
from keras_vae.callbacks.tensorboard import TensorBoardSummaries
from keras_vae.callbacks.tensorboard_images import EpochImages
from keras_vae.callbacks.watch import Watch
from keras_vae.config import RunConfig
from keras_vae.data import (
    ArraySplit,
    ImageDataset,
    Split,
    build_augmentation,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from keras_vae.errors import TrainingError, first_line
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.checkpoints import Position, list_checkpoints
from keras_vae.training.distribution import Distribution
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.trainer import VAETrainer

# The number of training images to evaluate on, of test images to plot, and of test images to reconstruct, each epoch.
EVALUATED, PLOTTED, RECONSTRUCTED = 1000, 5000, 20
# These images stay in memory, so there are fewer of them if they are large: neither set takes more bytes than this.
MOST_BYTES = 1 << 28
# The errors that TensorFlow raises when a worker that others wait for is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def run_callbacks(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    *,
    profile: tuple[int, int] | None = None,
    interval: CheckpointInterval | None = None,
    stop: StopSignals | None = None,
    distribution: Distribution | None = None,
) -> list[keras.callbacks.Callback]:
    """Callbacks, in order, for progress, metrics.csv, TensorBoard, GIF frames, checkpoints, model and pictures.

    ``profile``: first and last training step to trace, counted from 1. ``interval`` and ``stop`` are for `Checkpoints`.
    With several workers, only the chief writes; the others get the callbacks that keep them in step with it.
    """
    distribution = distribution or Distribution()
    batch_size = config.data.batch_size
    is_alone = distribution.cluster.size == 1
    stop_together = () if is_alone or stop is None else (StopTogether(stop, distribution),)
    most = max(RECONSTRUCTED, MOST_BYTES // math.prod(dataset.image_shape))
    test_images, test_labels = dataset.test.first(min(PLOTTED, most))
    train_images = ArraySplit(*dataset.train.first(min(EVALUATED, most)))
    evaluation = TrainEvaluation(_evaluation_batches(train_images, config, distribution))
    checkpoints = Checkpoints(
        run.checkpoints if distribution.cluster.is_chief else None, interval, *(stop_together or (stop,))
    )
    if not distribution.cluster.is_chief:
        return [evaluation, Watch(), *stop_together, checkpoints]
    posteriors = EpochPosteriors(test_images, test_labels, RECONSTRUCTED, batch_size)
    images = EpochImages(posteriors, dataset.class_names, config.seed) if config.pictures else None
    return [
        *([Profiler(run.tensorboard / "train", *profile)] if profile else []),
        # First those that measure and add to the epoch's logs, then those that write the logs, then those that draw.
        StepFigures(batch_size),
        evaluation,
        posteriors,
        # The line of the epoch, and then the warnings about it.
        Progress(batch_size),
        # Before anything is written about steps that changed nothing.
        Watch(),
        MetricsHistory(run),
        TensorBoardSummaries(run.tensorboard, posteriors, images, config, run.path.name),
        EmbeddingProjector(run.tensorboard / "test", posteriors, dataset.class_names),
        *([LatentFrames(run.frames, posteriors)] if config.pictures else []),
        # After everything else in the epoch, so that a checkpoint never claims results that are not written.
        *stop_together,
        checkpoints,
        Outcome(run, dataset, config.seed),
        *([Pictures(run, dataset, test_images, test_labels, config.seed)] if config.pictures else []),
        keras.callbacks.LambdaCallback(on_train_end=lambda logs: run.mark_finished()),
    ]


def fit_run(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    *,
    start: Position | None = None,
    profile: tuple[int, int] | None = None,
    interval: CheckpointInterval | None = None,
    distribution: Distribution | None = None,
) -> None:
    """Train up to ``config.epochs``, then write the model, the summary and the pictures.

    Ctrl-C and SIGTERM end it at the next step, with a checkpoint.

    Args:
        run: where everything goes; has its config.json already.
        config: what to run.
        dataset: the images.
        trainer: from `build_trainer` with the same ``config``, in the scope of the ``distribution``'s strategy; for a
            resumed run, with its checkpoint restored.
        start: how far the checkpoint had come.
        profile: first and last training step to trace, counted from 1.
        interval: when to write checkpoints.
        distribution: the replicas; None for one on one device. The chief alone writes.

    Raises:
        TrainingError: if files cannot be written, no step can be made any more, or another worker was lost.
        TrainingStoppedError: if it was ended by a signal.
    """
    distribution = distribution or Distribution()
    try:
        _fit(run, config, dataset, trainer, start or Position(0), profile, interval, distribution)
        # A worker that leaves early would be missed by the others.
        distribution.from_chief(0)
    except (OSError, tf.errors.OpError) as error:
        is_lost = distribution.cluster.size > 1 and isinstance(error, _LOST)
        what = "the connection to another worker was lost" if is_lost else _what_failed(error)
        raise TrainingError(f"{what}; {_last_checkpoint(run)}") from error


def _evaluation_batches(split: Split, config: RunConfig, distribution: Distribution) -> Any:
    part = distribution.part
    return distribution.batches(evaluation_batches(split, max(1, config.data.batch_size // part.count), part))


def _fit(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    start: Position,
    profile: tuple[int, int] | None,
    interval: CheckpointInterval | None,
    distribution: Distribution,
) -> None:
    batch_size, part = config.data.batch_size, distribution.part
    augment = build_augmentation(
        config.data.augment, dataset.image_shape, config.seed, binarize=dataset.grey_train is not None
    )
    steps = steps_per_epoch(dataset.train, batch_size)
    # The rest of an interrupted epoch has fewer steps, so it takes a fit of its own.
    parts = [(start.epochs, start.steps, start.epochs + 1)] if start.steps else []
    next_epoch = start.epochs + len(parts)
    if next_epoch < config.epochs or not parts:  # a run with all its epochs may still lack its results
        parts.append((next_epoch, 0, config.epochs))
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopSignals())
        callbacks = run_callbacks(
            run, config, dataset, profile=profile, interval=interval, stop=stop, distribution=distribution
        )
        for callback in callbacks:
            if isinstance(callback, Progress):
                stack.callback(callback.clear)  # so that an error message does not follow the bar
        for epoch, step, end in parts:
            batches = training_batches(
                dataset.trained_on,
                batch_size,
                seed=config.seed,
                first_epoch=epoch,
                first_step=step,
                augment=augment,
                part=part,
            )
            trainer.fit(
                distribution.batches(batches),
                epochs=end,
                initial_epoch=epoch,
                steps_per_epoch=steps - step,
                validation_data=_evaluation_batches(dataset.test, config, distribution),
                callbacks=[
                    PartOfTraining(
                        callbacks,
                        epochs=config.epochs,
                        steps=steps,
                        first_step=step,
                        is_first=epoch == start.epochs,
                        is_last=end == config.epochs,
                    )
                ],
                shuffle=False,  # the batches are shuffled already
                verbose=0,
            )


def _what_failed(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return first_line(error)


def _last_checkpoint(run: RunDirectory) -> str:
    checkpoints = list_checkpoints(run.checkpoints)
    if not checkpoints:
        return "there is no checkpoint yet, so a resumed run begins at the beginning"
    return f"the last complete checkpoint is {checkpoints[-1].position}"
