"""Export a trained model for TensorFlow Serving, LiteRT and ONNX Runtime.

Attributes are loaded on first use: checking and publishing versions needs no TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.export.export import export_saved_model
    from keras_vae.export.loading import ExportedVAE, load_exported
    from keras_vae.export.manifest import Manifest, check_manifest, read_manifest
    from keras_vae.export.publish import publish

__all__ = [
    "ExportedVAE",
    "Manifest",
    "check_manifest",
    "export_saved_model",
    "load_exported",
    "publish",
    "read_manifest",
]

_MODULES = {
    "ExportedVAE": "keras_vae.export.loading",
    "Manifest": "keras_vae.export.manifest",
    "check_manifest": "keras_vae.export.manifest",
    "export_saved_model": "keras_vae.export.export",
    "load_exported": "keras_vae.export.loading",
    "publish": "keras_vae.export.publish",
    "read_manifest": "keras_vae.export.manifest",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
