"""Keras callbacks that turn training into a run directory: metrics, TensorBoard, checkpoints, frames, pictures."""

from keras_vae.callbacks.checkpoint import Checkpoints
from keras_vae.callbacks.evaluation import TrainEvaluation
from keras_vae.callbacks.figures import StepFigures
from keras_vae.callbacks.frames import LatentFrames
from keras_vae.callbacks.history import MetricsHistory
from keras_vae.callbacks.outcome import Outcome
from keras_vae.callbacks.pictures import Pictures, write_pictures
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.callbacks.profiler import Profiler
from keras_vae.callbacks.progress import Progress
from keras_vae.callbacks.projector import EmbeddingProjector
from keras_vae.callbacks.rest_of_training import PartOfTraining
from keras_vae.callbacks.standard import fit_run, run_callbacks
from keras_vae.callbacks.stopping import StopSignals
from keras_vae.callbacks.tensorboard import TensorBoardSummaries
from keras_vae.callbacks.tensorboard_images import EpochImages
from keras_vae.callbacks.watch import Watch

__all__ = [
    "Checkpoints",
    "EmbeddingProjector",
    "EpochImages",
    "EpochPosteriors",
    "LatentFrames",
    "MetricsHistory",
    "Outcome",
    "PartOfTraining",
    "Pictures",
    "Profiler",
    "Progress",
    "StepFigures",
    "StopSignals",
    "TensorBoardSummaries",
    "TrainEvaluation",
    "Watch",
    "fit_run",
    "run_callbacks",
    "write_pictures",
]
