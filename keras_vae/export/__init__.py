"""Export: a trained model as a version that TensorFlow Serving, LiteRT and ONNX Runtime run.

Attributes are loaded on first use: checking and publishing versions needs no TensorFlow.
"""

from keras_vae.lazy import lazy_attributes

_MODULES = {
    "ExportedVAE": "keras_vae.export.loading",
    "Manifest": "keras_vae.export.manifest",
    "check_manifest": "keras_vae.export.manifest",
    "export_saved_model": "keras_vae.export.export",
    "load_exported": "keras_vae.export.loading",
    "publish": "keras_vae.export.publish",
    "read_manifest": "keras_vae.export.manifest",
}

__all__ = [*_MODULES]
__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
