"""Training into a run directory: the callbacks that fill it, and the fit that they watch."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from keras_vae.callbacks.evaluation import TrainEvaluation
from keras_vae.callbacks.figures import StepFigures
from keras_vae.callbacks.frames import LatentFrames
from keras_vae.callbacks.history import MetricsHistory
from keras_vae.callbacks.pictures import Pictures
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.callbacks.profiler import Profiler
from keras_vae.callbacks.progress import Progress
from keras_vae.callbacks.projector import EmbeddingProjector
from keras_vae.callbacks.tensorboard import TensorBoardSummaries
from keras_vae.callbacks.tensorboard_images import EpochImages
from keras_vae.config import RunConfig
from keras_vae.data import (
    ArraySplit,
    ImageDataset,
    build_augmentation,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from keras_vae.training.checkpoints import CheckpointCallback
from keras_vae.training.posteriors import measure_scaling_factor
from keras_vae.training.run_directory import RunDirectory
from keras_vae.training.saving import save_model
from keras_vae.training.trainer import VAETrainer

# Training images that each epoch is evaluated on, test images in the latent plot, test images that are reconstructed.
EVALUATED, PLOTTED, RECONSTRUCTED = 1000, 5000, 20
# They stay in memory: of large images there are fewer, so that either takes no more bytes than this.
MOST_BYTES = 1 << 28


def run_callbacks(
    run: RunDirectory, config: RunConfig, dataset: ImageDataset, *, profile: tuple[int, int] | None = None
) -> list[keras.callbacks.Callback]:
    """Progress, metrics.csv, TensorBoard, GIF frames, checkpoints and, at the end, pictures; in the order they need.

    ``profile``: first and last training step to trace, counted from 1.
    """
    batch_size = config.data.batch_size
    most = max(RECONSTRUCTED, MOST_BYTES // math.prod(dataset.image_shape))
    test_images, test_labels = dataset.test.first(min(PLOTTED, most))
    train_images = ArraySplit(*dataset.train.first(min(EVALUATED, most)))
    posteriors = EpochPosteriors(test_images, test_labels, RECONSTRUCTED, batch_size)
    images = EpochImages(posteriors, dataset.class_names, config.seed)
    return [
        *([Profiler(run.tensorboard / "train", *profile)] if profile else []),
        # Those that measure, and add to the epoch's logs; those that write the logs down; those that draw.
        StepFigures(batch_size),
        TrainEvaluation(evaluation_batches(train_images, batch_size)),
        posteriors,
        MetricsHistory(run),
        Progress(batch_size),
        TensorBoardSummaries(run.tensorboard, posteriors, images, config, run.path.name),
        EmbeddingProjector(run.tensorboard / "test", posteriors, dataset.class_names),
        LatentFrames(run.frames, posteriors),
        # After everything else of the epoch: what a checkpoint says is done has been written.
        CheckpointCallback(run.checkpoints),
        Pictures(run, dataset, test_images, test_labels, config.seed),
    ]


def fit_run(
    run: RunDirectory,
    config: RunConfig,
    dataset: ImageDataset,
    trainer: VAETrainer,
    *,
    first_epoch: int = 0,
    profile: tuple[int, int] | None = None,
) -> None:
    """Train up to ``config.epochs``, then write the model and the summary.

    Args:
        run: where everything goes; has its config.json already.
        config: what to run.
        dataset: the images.
        trainer: from `build_trainer` with the same ``config``; for a resumed run, with its checkpoint restored.
        first_epoch: epochs that are done.
        profile: first and last training step to trace, counted from 1.
    """
    batch_size = config.data.batch_size
    augment = build_augmentation(config.data.augment, dataset.image_shape, config.seed)
    trainer.fit(
        training_batches(dataset.train, batch_size, seed=config.seed, first_epoch=first_epoch, augment=augment),
        epochs=config.epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps_per_epoch(dataset.train, batch_size),
        validation_data=evaluation_batches(dataset.test, batch_size),
        callbacks=run_callbacks(run, config, dataset, profile=profile),
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )
    run.evaluation.unlink(missing_ok=True)  # it was of another model
    measure_scaling_factor(trainer.inference_vae, dataset.train, config.seed)
    save_model(trainer.inference_vae, run.model)
    run.write_summary({"parameters": trainer.vae.count_params(), **_summarise(run.read_metrics())})


def _summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The run's length and speed, and the last epoch's metrics of either side."""
    last = rows[-1]
    rates = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return {
        "epochs": last["epoch"],
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "images_per_second": float(np.median(rates)) if rates else None,
        **{side: _metrics_of(side, last) for side in ("train", "test")},
    }


def _metrics_of(side: str, row: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of a row that are of ``side``; None where one is not finite, which JSON cannot say."""
    prefix = f"{side}_"
    return {
        name.removeprefix(prefix): value if np.isfinite(value) else None
        for name, value in row.items()
        if name.startswith(prefix)
    }
