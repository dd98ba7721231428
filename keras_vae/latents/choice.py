"""The bottleneck that a run's description names."""

from __future__ import annotations

from typing import Any

from keras_vae.config import ModelConfig
from keras_vae.latents.bottleneck import Bottleneck
from keras_vae.latents.finite_scalar import FiniteScalarQuantizer
from keras_vae.latents.gaussian import PointBottleneck
from keras_vae.latents.vector_quantizer import VectorQuantizer


def make_bottleneck(config: ModelConfig) -> Bottleneck | None:
    """The bottleneck of ``config``; None is the default one of `keras_vae.models.VAE`."""
    if config.bottleneck == "vq":
        return VectorQuantizer(config.codebook_size, config.code_dim, name="bottleneck")
    if config.bottleneck == "fsq":
        return FiniteScalarQuantizer(config.fsq_levels, name="bottleneck")
    return None


def described_bottleneck(bottleneck: Bottleneck) -> dict[str, Any]:
    """The fields of `ModelConfig` that describe ``bottleneck``; one of another class is none of them."""
    if isinstance(bottleneck, VectorQuantizer):
        return {"bottleneck": "vq", "codebook_size": bottleneck.codebook_size, "code_dim": bottleneck.code_dim}
    if isinstance(bottleneck, FiniteScalarQuantizer):
        return {"bottleneck": "fsq", "fsq_levels": bottleneck.levels}
    return {"bottleneck": "gaussian", "variational": not isinstance(bottleneck, PointBottleneck)}
