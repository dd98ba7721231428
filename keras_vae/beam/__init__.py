"""Batch jobs on Apache Beam with an exported model: encode, reconstruct and evaluate any number of images.

This needs the extra ``beam``. Beam is imported only when a job is created.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.beam.encode import encode_images
    from keras_vae.beam.evaluate import evaluate_images
    from keras_vae.beam.job import JobOptions
    from keras_vae.beam.model_handler import ExportedModelHandler
    from keras_vae.beam.reconstruct import reconstruct_images

__all__ = [
    "ExportedModelHandler",
    "JobOptions",
    "encode_images",
    "evaluate_images",
    "reconstruct_images",
]

_MODULES = {
    "ExportedModelHandler": "keras_vae.beam.model_handler",
    "JobOptions": "keras_vae.beam.job",
    "encode_images": "keras_vae.beam.encode",
    "evaluate_images": "keras_vae.beam.evaluate",
    "reconstruct_images": "keras_vae.beam.reconstruct",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
