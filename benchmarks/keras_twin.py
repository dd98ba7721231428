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
from keras_vae.layers import DownBlock, GaussianSampling, GroupNorm, MidBlock, ResidualBlock, StandardNormal
from keras_vae.losses import LPIPS
from keras_vae.training import VAETrainer
from keras_vae.training.optimizers import FusedAdamW

IMAGE_SHAPE = (28, 28, 1)
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


class TwinVAE(keras.Model):
    """The peer's autoencoder with the interface that `VAETrainer` needs; a latent has the shape (7, 7, 3)."""

    variational = True
    num_classes = None
    # ``784·MSE / (2·scale²)`` is 784 times the peer's MSE, up to a constant.
    likelihood = "gaussian"
    scale = 0.5**0.5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        fine, middle, coarse = torch_peer.WIDTHS
        latents, groups = torch_peer.LATENT_CHANNELS, torch_peer.GROUPS
        mid: dict[str, Any] = {"self_attention": True, "num_heads": torch_peer.HEADS, "groups": groups}
        self.encoder = keras.Sequential(
            [
                keras.layers.Conv2D(fine, 3, padding="same"),
                Down(middle, groups=groups),
                Down(coarse, groups=groups),
                Mid(coarse, **mid),
                GroupNorm(groups),
                keras.layers.Activation("silu"),
                # In float32 under every policy, like the library's heads and images.
                keras.layers.Conv2D(2 * latents, 3, padding="same", dtype="float32"),
                keras.layers.Conv2D(2 * latents, 1, dtype="float32"),
            ]
        )
        self.decoder = keras.Sequential(
            [
                keras.layers.Conv2D(latents, 1),
                keras.layers.Conv2D(coarse, 3, padding="same"),
                Mid(coarse, **mid),
                keras.layers.Conv2DTranspose(coarse, 4, strides=2, padding="same"),
                Residual(middle, groups=groups),
                keras.layers.Conv2DTranspose(middle, 4, strides=2, padding="same"),
                Residual(fine, groups=groups),
                GroupNorm(groups),
                keras.layers.Activation("silu"),
                keras.layers.Conv2D(1, 3, padding="same", dtype="float32"),
            ]
        )
        self.sampling = GaussianSampling(seed=0)
        self.prior = StandardNormal((7, 7, latents))
        self.likelihood_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.scale),
            trainable=False,
            dtype="float32",
            name="likelihood_scale",
        )
        self.encoder.build((None, *IMAGE_SHAPE))
        self.decoder.build((None, 7, 7, latents))
        self.built = True

    def encode(self, images: Any, labels: Any = None) -> list[Any]:
        """``mean`` and ``log_var``, each (N, 7, 7, 3)."""
        return ops.split(self.encoder(images), 2, axis=-1)

    def decode(self, z: Any, labels: Any = None) -> Any:
        """Images (N, 28, 28, 1)."""
        return self.decoder(z)


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
    pairs = [(posterior, twin.vae.encoder(images)), (reconstructions, ours)]
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
