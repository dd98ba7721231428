"""Encoder, decoder, variational autoencoder and discriminators, and samplers that draw new latents."""

from keras_vae.models.autoencoder_kl import AutoencoderKL
from keras_vae.models.decoder import Decoder
from keras_vae.models.discriminator import PatchDiscriminator
from keras_vae.models.encoder import Encoder
from keras_vae.models.feature_discriminator import FeatureDiscriminator
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.kl_decoder import KLDecoder
from keras_vae.models.kl_encoder import KLEncoder
from keras_vae.models.samplers import GaussianMixtureSampler, PriorSampler, Sampler
from keras_vae.models.vae import VAE

__all__ = [
    "VAE",
    "AutoencoderKL",
    "Decoder",
    "Encoder",
    "FeatureDiscriminator",
    "GaussianMixtureSampler",
    "KLArchitecture",
    "KLDecoder",
    "KLEncoder",
    "PatchDiscriminator",
    "PriorSampler",
    "Sampler",
]
