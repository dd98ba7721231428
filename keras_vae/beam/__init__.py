"""Batch jobs on Apache Beam over an exported model: encode, reconstruct and measure any number of images.

Needs the extra ``beam``; nothing of Beam is imported before a job is made.
"""

from keras_vae.lazy import lazy_attributes

_MODULES = {
    "ExportedModelHandler": "keras_vae.beam.model_handler",
    "JobOptions": "keras_vae.beam.job",
    "encode_images": "keras_vae.beam.encode",
    "evaluate_images": "keras_vae.beam.evaluate",
    "reconstruct_images": "keras_vae.beam.reconstruct",
}

__all__ = [*_MODULES]
__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
