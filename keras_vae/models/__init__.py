"""Encoder, decoder, variational autoencoder and discriminators, and samplers that draw new latents."""

from keras_vae.models.decoder import Decoder
from keras_vae.models.discriminator import PatchDiscriminator
from keras_vae.models.encoder import Encoder
from keras_vae.models.feature_discriminator import FeatureDiscriminator
from keras_vae.models.samplers import GaussianMixtureSampler, PriorSampler, Sampler
from keras_vae.models.vae import VAE

__all__ = [
    "VAE",
    "Decoder",
    "Encoder",
    "FeatureDiscriminator",
    "GaussianMixtureSampler",
    "PatchDiscriminator",
    "PriorSampler",
    "Sampler",
]
