"""TensorFlow Extended: a ``run_fn`` for the Trainer, and a pipeline around it.

Only `create_pipeline` needs TFX itself (the extra ``tfx``).
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.tfx.module import run_fn
    from keras_vae.tfx.pipeline import create_pipeline

__all__ = [
    "create_pipeline",
    "run_fn",
]

_MODULES = {
    "create_pipeline": "keras_vae.tfx.pipeline",
    "run_fn": "keras_vae.tfx.module",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
