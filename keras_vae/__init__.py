"""Variational autoencoders for Keras 3: layers, models, losses, metrics, training and plots.

Attributes are loaded on first use, so that ``import keras_vae`` imports neither Keras nor TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_vae.lazy import lazy_attributes

if TYPE_CHECKING:
    from keras_vae.config import RunConfig
    from keras_vae.errors import InputError
    from keras_vae.models import VAE, Decoder, Encoder, FeatureDiscriminator, PatchDiscriminator
    from keras_vae.training import VAETrainer

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "FeatureDiscriminator",
    "InputError",
    "PatchDiscriminator",
    "RunConfig",
    "VAETrainer",
]

_MODULES = {
    "VAE": "keras_vae.models",
    "Encoder": "keras_vae.models",
    "Decoder": "keras_vae.models",
    "PatchDiscriminator": "keras_vae.models",
    "FeatureDiscriminator": "keras_vae.models",
    "VAETrainer": "keras_vae.training",
    "InputError": "keras_vae.errors",
    "RunConfig": "keras_vae.config",
}

__getattr__, __dir__ = lazy_attributes(__name__, _MODULES)
