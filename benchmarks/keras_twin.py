"""The architecture of `torch_peer` in keras-vae's layers, trained by `VAETrainer`, with the peer's weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch_peer
from keras import ops
from torch import nn

from keras_vae.config import ObjectiveConfig
from keras_vae.layers import DownBlock, GroupNorm, MidBlock, ResidualBlock
from keras_vae.losses import LPIPS
from keras_vae.models import VAE, Decoder, Encoder
from keras_vae.training import VAETrainer
from keras_vae.training.optimizers import FusedAdamW

IMAGE_SHAPE = (28, 28, 1)
LATENT_SHAPE = (7, 7, torch_peer.LATENT_CHANNELS)
PIXELS = 28 * 28

Array = npt.NDArray[np.float32]


class Residual(ResidualBlock):
    """The peer's residual block, with a projection on every skip."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.skip is None:
            self.skip = keras.layers.Conv2D(self.filters, 1, dtype=self.dtype_policy, name="skip")
            self.skip.build(input_shape)


class Down(DownBlock):
    """`DownBlock` made of these blocks."""

    residual_class = Residual


class Mid(MidBlock):
    """`MidBlock` made of these blocks."""

    residual_class = Residual


class TwinEncoder(Encoder):
    """The peer's layers in place of the library's levels and heads."""

    def build(self, images_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        fine, middle, coarse = torch_peer.WIDTHS
        latents = 2 * torch_peer.LATENT_CHANNELS
        self.network = keras.Sequential(
            [
                keras.layers.Conv2D(fine, 3, padding="same"),
                Down(middle, groups=torch_peer.GROUPS),
                Down(coarse, groups=torch_peer.GROUPS),
                Mid(coarse, self_attention=True, num_heads=torch_peer.HEADS, groups=torch_peer.GROUPS),
                GroupNorm(torch_peer.GROUPS, activation="silu"),
                # In float32 under every policy, like the library's heads and images.
                keras.layers.Conv2D(latents, 3, padding="same", dtype="float32"),
                keras.layers.Conv2D(latents, 1, dtype="float32"),
            ]
        )
        self.network.build((None, *self.image_shape))

    def call(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        mean, log_var = ops.split(self.network(images), 2, axis=-1)
        return mean, log_var


class TwinDecoder(Decoder):
    """The peer's layers in place of the library's levels and image."""

    def build(self, z_shape: Any, labels_shape: Any = None) -> None:
        if self.built:
            return
        fine, middle, coarse = torch_peer.WIDTHS
        latents = torch_peer.LATENT_CHANNELS
        self.network = keras.Sequential(
            [
                keras.layers.Conv2D(latents, 1),
                keras.layers.Conv2D(coarse, 3, padding="same"),
                Mid(coarse, self_attention=True, num_heads=torch_peer.HEADS, groups=torch_peer.GROUPS),
                keras.layers.Conv2DTranspose(coarse, 4, strides=2, padding="same"),
                Residual(middle, groups=torch_peer.GROUPS),
                keras.layers.Conv2DTranspose(middle, 4, strides=2, padding="same"),
                Residual(fine, groups=torch_peer.GROUPS),
                GroupNorm(torch_peer.GROUPS, activation="silu"),
                keras.layers.Conv2D(1, 3, padding="same", dtype="float32"),
            ]
        )
        self.network.build((None, *self.latent_shape))

    def call(self, z: Any, labels: Any = None) -> Any:
        return self.network(z)


class TwinVAE(VAE):
    """The peer's autoencoder. What a trainer needs of a model it has from `VAE`, and stays true when that changes."""

    encoder_class = TwinEncoder
    decoder_class = TwinDecoder

    def __init__(self) -> None:
        super().__init__(
            IMAGE_SHAPE,
            # As many levels as the peer has; the peer's own layers are in `TwinEncoder` and `TwinDecoder`.
            widths=torch_peer.WIDTHS,
            stem_stride=1,
            num_heads=torch_peer.HEADS,
            groups=torch_peer.GROUPS,
            latent_shape=LATENT_SHAPE,
            # ``784·MSE / (2·scale²)`` is 784 times the peer's MSE, up to a constant.
            likelihood="gaussian",
            scale=0.5**0.5,
            seed=0,
        )


def patch_discriminator() -> keras.Sequential:
    """The peer's PatchGAN, with PyTorch's padding where "same" differs from it."""
    layers: list[keras.layers.Layer] = []
    for index, width in enumerate(torch_peer.PATCH_WIDTHS):
        if index < 2:
            layers.append(keras.layers.Conv2D(width, 4, strides=2, padding="same", use_bias=index == 0))
        else:  # 7×7, where one row and one column are dropped
            layers.append(keras.layers.ZeroPadding2D(((1, 0), (1, 0))))
            layers.append(keras.layers.Conv2D(width, 4, strides=2, use_bias=False))
        if index:
            layers.append(keras.layers.BatchNormalization(epsilon=1e-5))
        layers.append(keras.layers.LeakyReLU(0.2))
    model = keras.Sequential([*layers, keras.layers.ZeroPadding2D(1), keras.layers.Conv2D(1, 4)])
    model.build((None, *IMAGE_SHAPE))
    return model


def twin_trainer(precision: str, *, adversarial: bool, vgg16: str | os.PathLike[str] | None) -> VAETrainer:
    """A compiled `VAETrainer` that makes the peer's step.

    Its loss is the peer's loss times the number of pixels, which makes no difference to Adam.
    """
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy(precision)
    config = ObjectiveConfig(
        beta=PIXELS * torch_peer.KL_WEIGHT,
        beta_warmup=0.0,
        perceptual_weight=PIXELS * torch_peer.LPIPS_WEIGHT,
        perceptual_fraction=1.0,
        adversarial_loss="least_squares",
        # `LeastSquaresGAN` halves the generator's loss.
        adversarial_weight=2 * PIXELS * torch_peer.ADVERSARIAL_WEIGHT,
        adversarial_start=0.0,
    )
    trainer = VAETrainer(
        TwinVAE(),
        patch_discriminator() if adversarial else None,
        None if vgg16 is None else LPIPS(vgg16, 5, reduction=None),
        config,
    )
    players = (FusedAdamW(torch_peer.LEARNING_RATE, weight_decay=0.0, epsilon=1e-8) for _ in range(2))
    trainer.compile(*players)
    return trainer


def copy_weights(peer: nn.Module, twin: keras.Model) -> None:
    """Copy the trained weights of ``peer`` to ``twin``; both create their layers in the same order."""
    for variable, array in zip(twin.trainable_variables, _arrays_of(peer), strict=True):
        variable.assign(array)


def _arrays_of(module: nn.Module) -> Iterator[Array]:
    """The weights in Keras's layout: kernels (h, w, in, out), for transposed convolutions (h, w, out, in)."""
    if isinstance(module, nn.MultiheadAttention):
        # `SelfAttention2D` creates its output projection first.
        for linear in ((module.out_proj.weight, module.out_proj.bias), (module.in_proj_weight, module.in_proj_bias)):
            for parameter in linear:
                yield parameter.detach().numpy().T
        return
    for parameter in module.parameters(recurse=False):
        array = parameter.detach().numpy()
        yield array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
    for child in module.children():
        yield from _arrays_of(child)


def largest_difference(peer: torch_peer.TorchPeer, twin: VAETrainer, images: Array) -> float:
    """Largest difference of all outputs of the players with equal weights, relative to each output's largest value."""
    batch = torch_peer.channels_first(images)
    posterior, z = peer.autoencoder.encoder(batch), batch.new_ones((len(batch), torch_peer.LATENT_CHANNELS, 7, 7))
    reconstructions = peer.autoencoder.decoder(z)
    copy_weights(peer.autoencoder, twin.vae)
    ours = twin.vae.decode(np.moveaxis(z.numpy(), 1, -1))
    pairs = [(posterior, ops.concatenate(twin.vae.encode(images), axis=-1)), (reconstructions, ours)]
    if peer.discriminator is not None and twin.discriminator is not None:
        copy_weights(peer.discriminator, twin.discriminator)
        pairs.append((peer.discriminator(batch), twin.discriminator(images, training=True)))
    if peer.perceptual_loss is not None and twin.objective.perceptual_loss is not None:
        pairs.append((peer.perceptual(reconstructions, batch), twin.objective.perceptual_loss(images, ours)))
    differences = []
    for theirs, found in pairs:
        expected = np.moveaxis(theirs.detach().numpy(), 1, -1) if theirs.ndim == 4 else theirs.detach().numpy()
        differences.append(np.abs(expected - np.asarray(found, np.float32)).max() / np.abs(expected).max())
    return float(max(differences))
