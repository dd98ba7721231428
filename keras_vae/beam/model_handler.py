"""An exported model for Beam's ``RunInference``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from keras_vae.beam.batch import ImageBatch
from keras_vae.export.loading import ExportedVAE, load_exported

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
Infer: TypeAlias = Callable[[ExportedVAE, Any, Any], Arrays]


class ExportedModelHandler(ModelHandler[ImageBatch, PredictionResult, ExportedVAE]):
    """Loads a published version in each worker, with the checks of `load_exported`.

    Args:
        folder: folder of the version, reachable by every worker.
        infer: the computation, given images float32 (N, H, W, C) and labels int32 (N,), or None for a model that is not
            conditional. It must be a module-level function, since workers receive its name.
    """

    def __init__(self, folder: str, infer: Infer) -> None:
        super().__init__()
        self._folder, self._infer = folder, infer

    def load_model(self) -> ExportedVAE:
        """Load the model, once per process."""
        return load_exported(Path(self._folder))

    def run_inference(
        self, batch: Sequence[ImageBatch], model: ExportedVAE, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """Run the computation on each batch of images."""
        for images in batch:
            pixels = tf.cast(images.images, tf.float32) / 255.0
            labels = None if model.num_classes is None else images.labels
            yield PredictionResult(images, self._infer(model, pixels, labels), self._folder)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Do not regroup: each element is a full batch of images already."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[ImageBatch]) -> int:
        """Size of the pixels. Beam's default would pickle them."""
        return sum(images.images.nbytes for images in batch)

    def get_metrics_namespace(self) -> str:
        """Namespace in which Beam counts and times the calls."""
        return "keras_vae"


def encode(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """``mean`` and ``log_var``, float32 (N, latent_dim), and ``codes``, int32 (N, M), if the model has any."""
    found = model.answer("encode", labels, image=images)
    return {name: value.numpy().reshape(len(value), -1) for name, value in found.items()}


def reconstruct(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """``reconstruction`` (N, H, W, C) through the posterior mean."""
    return {"reconstruction": model.reconstruct(images, labels).numpy()}


def encode_and_reconstruct(model: ExportedVAE, images: Any, labels: Any) -> Arrays:
    """The results of `encode` and `reconstruct`."""
    encoded = encode(model, images, labels)
    return {"reconstruction": model.decode(encoded["mean"], labels).numpy(), **encoded}
