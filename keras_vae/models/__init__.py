"""The models: encoder, decoder, variational autoencoder, patch discriminator."""

from keras_vae.models.decoder import Decoder
from keras_vae.models.discriminator import PatchDiscriminator
from keras_vae.models.encoder import Encoder
from keras_vae.models.vae import VAE

__all__ = ["VAE", "Decoder", "Encoder", "PatchDiscriminator"]
