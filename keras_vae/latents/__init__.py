"""Bottlenecks, which stand between encoder and decoder, on `keras.ops` alone."""

from keras_vae.latents.bottleneck import Bottleneck, Latents
from keras_vae.latents.code_prior import CodePrior, UniformCodes
from keras_vae.latents.finite_scalar import FiniteScalarQuantizer
from keras_vae.latents.gaussian import GaussianBottleneck, PointBottleneck
from keras_vae.latents.latent_flow import LatentFlow
from keras_vae.latents.quantizer import Quantizer
from keras_vae.latents.vector_quantizer import VectorQuantizer

__all__ = [
    "Bottleneck",
    "CodePrior",
    "FiniteScalarQuantizer",
    "GaussianBottleneck",
    "LatentFlow",
    "Latents",
    "PointBottleneck",
    "Quantizer",
    "UniformCodes",
    "VectorQuantizer",
]
