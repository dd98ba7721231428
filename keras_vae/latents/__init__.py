"""Bottlenecks, which stand between encoder and decoder, and learned priors, on `keras.ops` alone."""

from keras_vae.latents.autoregressive_codes import AutoregressiveCodes
from keras_vae.latents.bottleneck import Bottleneck, Latents
from keras_vae.latents.code_prior import CodePrior, UniformCodes
from keras_vae.latents.finite_scalar import FiniteScalarQuantizer
from keras_vae.latents.flow_prior import FlowPrior
from keras_vae.latents.gaussian import GaussianBottleneck, PointBottleneck
from keras_vae.latents.latent_flow import LatentFlow
from keras_vae.latents.learned_priors import learned_prior, prior_name
from keras_vae.latents.mixture_prior import MixturePrior
from keras_vae.latents.quantizer import Quantizer
from keras_vae.latents.vamp_prior import VampPrior
from keras_vae.latents.vector_prior import VectorPrior
from keras_vae.latents.vector_quantizer import VectorQuantizer

__all__ = [
    "AutoregressiveCodes",
    "Bottleneck",
    "CodePrior",
    "FiniteScalarQuantizer",
    "FlowPrior",
    "GaussianBottleneck",
    "LatentFlow",
    "Latents",
    "MixturePrior",
    "PointBottleneck",
    "Quantizer",
    "UniformCodes",
    "VampPrior",
    "VectorPrior",
    "VectorQuantizer",
    "learned_prior",
    "prior_name",
]
