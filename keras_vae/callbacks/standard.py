"""The callbacks that make a run directory out of a training run."""

from __future__ import annotations

import keras
import numpy as np

from keras_vae.callbacks.evaluation import TrainEvaluation
from keras_vae.callbacks.frames import LatentFrames
from keras_vae.callbacks.history import MetricsHistory
from keras_vae.callbacks.pictures import Pictures
from keras_vae.callbacks.progress import Progress
from keras_vae.callbacks.tensorboard import TensorBoardScalars
from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, ImageDataset, evaluation_batches
from keras_vae.training.checkpoints import CheckpointCallback
from keras_vae.training.run_directory import RunDirectory

# Training images that each epoch is evaluated on, test images in the latent plot, test images that are reconstructed.
EVALUATED, PLOTTED, RECONSTRUCTED = 1000, 5000, 20


def run_callbacks(run: RunDirectory, config: RunConfig, dataset: ImageDataset) -> list[keras.callbacks.Callback]:
    """Progress, metrics.csv, TensorBoard, GIF frames, checkpoints and, at the end, pictures; in the order they need."""
    batch_size = config.data.batch_size
    test_images, test_labels = dataset.test.first(PLOTTED)
    train_images = ArraySplit(*dataset.train.first(EVALUATED))
    return [
        TrainEvaluation(evaluation_batches(train_images, batch_size)),
        MetricsHistory(run, batch_size),
        Progress(batch_size),
        TensorBoardScalars(run.tensorboard),
        LatentFrames(
            run.frames, test_images.astype(np.float32) / 255, test_labels, shown=RECONSTRUCTED, batch_size=batch_size
        ),
        # After everything else of the epoch: what a checkpoint says is done has been written.
        CheckpointCallback(run.checkpoints),
        Pictures(run, test_images, test_labels, dataset.class_names, config.seed),
    ]
