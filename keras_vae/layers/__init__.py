"""Layers of the encoder, the decoder and the discriminator, on `keras.ops` alone."""

from keras_vae.layers.attention import CrossAttention2D, SelfAttention2D
from keras_vae.layers.blocks import DownBlock, MidBlock, UpBlock
from keras_vae.layers.normalization import GroupNorm
from keras_vae.layers.prior import Prior, StandardNormal
from keras_vae.layers.resampling import Downsampling2D, Upsampling2D
from keras_vae.layers.residual import ResidualBlock
from keras_vae.layers.sampling import GaussianSampling
from keras_vae.layers.spectral import SpectralConv2D

__all__ = [
    "CrossAttention2D",
    "DownBlock",
    "Downsampling2D",
    "GaussianSampling",
    "GroupNorm",
    "MidBlock",
    "Prior",
    "ResidualBlock",
    "SelfAttention2D",
    "SpectralConv2D",
    "StandardNormal",
    "UpBlock",
    "Upsampling2D",
]
