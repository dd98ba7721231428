"""An exported model for Beam's ``RunInference``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from keras_vae.beam.batch import ImageBatch
from keras_vae.export.loading import ExportedVAE, load_exported

Arrays: TypeAlias = dict[str, npt.NDArray[np.float32]]
Infer: TypeAlias = Callable[[ExportedVAE, Any, Any], Arrays]


class ExportedModelHandler(ModelHandler[ImageBatch, PredictionResult, ExportedVAE]):
    """Loads a published version in each worker as `load_exported` does: unchanged, and with no graph that reaches out.

    Args:
        folder: of the version, where every worker finds it.
        infer: what is computed of images float32 (N, H, W, C) and labels int32 (N,), which are None for a model that
            is not conditional; a function of a module, since workers are sent its name.
    """

    def __init__(self, folder: str, infer: Infer) -> None:
        super().__init__()
        self._folder, self._infer = folder, infer

    def load_model(self) -> ExportedVAE:
        """The model, once for each process."""
        return load_exported(Path(self._folder))

    def run_inference(
        self, batch: Sequence[ImageBatch], model: ExportedVAE, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """For each batch of images, what was computed of it."""
        for images in batch:
            pixels = tf.cast(images.images, tf.float32) / 255.0
            labels = None if model.num_classes is None else images.labels
            yield PredictionResult(images, self._infer(model, pixels, labels), self._folder)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """What arrives is as many images as the model takes at a time already."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[ImageBatch]) -> int:
        """The pixels' size; Beam's own way is to pickle them."""
        return sum(images.images.nbytes for images in batch)

    def get_metrics_namespace(self) -> str:
        """Under which Beam counts and times the calls."""
        return "keras_vae"


def encode(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """``mean`` and ``log_var``, (N, latent_dim)."""
    mean, log_var = model.encode_flat(images, labels)
    return {"mean": mean.numpy(), "log_var": log_var.numpy()}


def reconstruct(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """``reconstruction`` (N, H, W, C) through the posterior mean."""
    return {"reconstruction": model.reconstruct(images, labels).numpy()}


def encode_and_reconstruct(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """What `encode` and `reconstruct` give."""
    encoded = encode(model, images, labels)
    return {"reconstruction": model.decode(encoded["mean"], labels).numpy(), **encoded}
