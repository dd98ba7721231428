"""TensorFlow Extended: a Trainer's ``run_fn`` over this library's own parts, and a pipeline around it.

TFX itself is needed by `create_pipeline` alone (the extra ``tfx``).
"""

from keras_vae.lazy import lazy_attributes

_MODULES = {
    "create_pipeline": "keras_vae.tfx.pipeline",
    "run_fn": "keras_vae.tfx.module",
}

__all__ = [*_MODULES]
__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
