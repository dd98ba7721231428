"""The bottleneck that a run's description names."""

from __future__ import annotations

from keras_vae.config import ModelConfig
from keras_vae.latents.bottleneck import Bottleneck
from keras_vae.latents.finite_scalar import FiniteScalarQuantizer
from keras_vae.latents.vector_quantizer import VectorQuantizer


def make_bottleneck(config: ModelConfig) -> Bottleneck | None:
    """The bottleneck of ``config``; None is the default one of `keras_vae.models.VAE`."""
    if config.bottleneck == "vq":
        return VectorQuantizer(config.codebook_size, config.code_dim, name="bottleneck")
    if config.bottleneck == "fsq":
        return FiniteScalarQuantizer(config.fsq_levels, name="bottleneck")
    return None
