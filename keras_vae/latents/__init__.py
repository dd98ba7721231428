"""Bottlenecks, which stand between encoder and decoder, on `keras.ops` alone."""

from keras_vae.latents.bottleneck import Bottleneck, Latents
from keras_vae.latents.gaussian import GaussianBottleneck, PointBottleneck

__all__ = ["Bottleneck", "GaussianBottleneck", "Latents", "PointBottleneck"]
