"""The PyTorch peer of the training benchmark: an autoencoder of 2.49 M parameters, a PatchGAN, LPIPS-VGG16, and a step.

It is written from a description of ``config/mnist.yaml`` in explainingai-code/StableDiffusion-PyTorch, as PyTorch users
write such a step: grey images repeated to RGB for VGG16, first the generator's step, then the discriminator's on the
detached output. The parameter counts settle what the description leaves open: every residual block projects its skip,
and each level of the decoder up-samples before its residual block.

The step runs as it is written, or as PyTorch recommends for speed on CPU: compiled, with channels last. Either
takes float32, or bfloat16 by autocast.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from keras_vae.losses.vgg16 import BLOCKS, read_convolutions, read_heads

WIDTHS = (32, 64, 128)
LATENT_CHANNELS = 3
GROUPS = 32
HEADS = 16
PATCH_WIDTHS = (64, 128, 256)
LEARNING_RATE = 1e-4
KL_WEIGHT, LPIPS_WEIGHT, ADVERSARIAL_WEIGHT = 5e-6, 1.0, 0.5
# The constants of LPIPS's ScalingLayer, for images in [-1, 1].
LPIPS_SHIFT, LPIPS_DEVIATION = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Residual(nn.Module):
    """``skip(x) + conv(silu(norm(conv(silu(norm(x))))))``."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for channels in (width_in, width))
        self.convs = nn.ModuleList(nn.Conv2d(channels, width, 3, padding=1) for channels in (width_in, width))
        self.skip = nn.Conv2d(width_in, width, 1)

    def forward(self, x: Any) -> Any:
        hidden = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = conv(functional.silu(norm(hidden)))
        return self.skip(x) + hidden


class Attention(nn.Module):
    """Self-attention over the positions, with a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)

    def forward(self, x: Any) -> Any:
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return x + attended.transpose(1, 2).reshape(x.shape)


def mid_block(width: int) -> nn.Sequential:
    """Residual, attention, residual."""
    return nn.Sequential(Residual(width, width), Attention(width), Residual(width, width))


class Autoencoder(nn.Module):
    """Images (N, 1, 28, 28) → reconstructions, mean and log_var (N, 3, 7, 7)."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = WIDTHS
        self.encoder = nn.Sequential(
            nn.Conv2d(1, fine, 3, padding=1),
            Residual(fine, middle),
            nn.Conv2d(middle, middle, 4, stride=2, padding=1),
            Residual(middle, coarse),
            nn.Conv2d(coarse, coarse, 4, stride=2, padding=1),
            mid_block(coarse),
            nn.GroupNorm(GROUPS, coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, 2 * LATENT_CHANNELS, 3, padding=1),
            nn.Conv2d(2 * LATENT_CHANNELS, 2 * LATENT_CHANNELS, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1),
            nn.Conv2d(LATENT_CHANNELS, coarse, 3, padding=1),
            mid_block(coarse),
            nn.ConvTranspose2d(coarse, coarse, 4, stride=2, padding=1),
            Residual(coarse, middle),
            nn.ConvTranspose2d(middle, middle, 4, stride=2, padding=1),
            Residual(middle, fine),
            nn.GroupNorm(GROUPS, fine),
            nn.SiLU(),
            nn.Conv2d(fine, 1, 3, padding=1),
        )

    def forward(self, images: Any) -> Any:
        mean, log_var = self.encoder(images).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return self.decoder(z), mean, log_var


def patch_discriminator() -> nn.Sequential:
    """PatchGAN: images (N, 1, 28, 28) → logits (N, 1, 2, 2)."""
    layers: list[nn.Module] = []
    channels = 1
    for index, width in enumerate(PATCH_WIDTHS):
        # As in Isola et al. 2017: the first layer is not normalised, and normalised layers have no bias.
        layers.append(nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=index == 0))
        if index:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.LeakyReLU(0.2))
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, padding=1))


class PerceptualLoss(nn.Module):
    """LPIPS v0.1 over the first taps of VGG16, by default all five: images (N, 3, H, W) in [-1, 1] → (N,)."""

    def __init__(self, weights: str | os.PathLike[str], taps: int = len(BLOCKS)) -> None:
        super().__init__()
        convolutions = read_convolutions(weights, taps)
        self.blocks = nn.ModuleList()
        for index, (names, _) in enumerate(BLOCKS[:taps]):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if index else []
            for name in names:
                kernel, bias = convolutions[name]
                layer = nn.Conv2d(*kernel.shape[2:], 3, padding=1)
                layer.weight = nn.Parameter(torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))))
                layer.bias = nn.Parameter(torch.from_numpy(bias))
                layers += [layer, nn.ReLU()]
            self.blocks.append(nn.Sequential(*layers))
        for index, head in enumerate(read_heads(weights, taps)):
            self.register_buffer(f"head_{index}", torch.from_numpy(head)[None, :, None, None])
        self.register_buffer("shift", torch.tensor(LPIPS_SHIFT)[None, :, None, None])
        self.register_buffer("deviation", torch.tensor(LPIPS_DEVIATION)[None, :, None, None])
        self.requires_grad_(False)

    def features(self, images: Any) -> list[Any]:
        """The unit-normalised activations at the end of each block."""
        hidden = (images - self.shift) / self.deviation
        features = []
        for block in self.blocks:
            hidden = block(hidden)
            features.append(hidden / (hidden.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return features

    def forward(self, reconstructions: Any, images: Any) -> Any:
        total: Any = 0.0
        pairs = zip(self.features(reconstructions), self.features(images), strict=True)
        for index, (fake, real) in enumerate(pairs):
            distance = ((fake - real).square() * getattr(self, f"head_{index}")).sum(dim=1)
            total = total + distance.mean(dim=(1, 2))
        return total


class TorchPeer:
    """Both players with their optimizers, PyTorch's fused Adam.

    Args:
        adversarial: whether to train a discriminator as well.
        vgg16: file with VGG16's weights; None for no perceptual loss.
        bfloat16: compute both losses under autocast.
        compiled: use `torch.compile` and the memory format channels_last. It needs a C++ compiler.
    """

    def __init__(
        self,
        *,
        adversarial: bool,
        vgg16: str | os.PathLike[str] | None,
        bfloat16: bool = False,
        compiled: bool = False,
    ) -> None:
        torch.manual_seed(0)
        self.autoencoder: nn.Module = Autoencoder()
        self.discriminator: nn.Module | None = patch_discriminator() if adversarial else None
        self.perceptual_loss = None if vgg16 is None else PerceptualLoss(vgg16)
        if compiled:
            for module in (self.autoencoder, self.discriminator, self.perceptual_loss):
                if module is not None:
                    module.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.autoencoder.parameters(), LEARNING_RATE, fused=True)
        if self.discriminator is not None:
            self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), LEARNING_RATE, fused=True)
        self.compiled = compiled
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
        losses: list[Any] = [self._autoencoder_loss, self._discriminator_loss]
        self.autoencoder_loss, self.discriminator_loss = map(torch.compile, losses) if compiled else losses

    def perceptual(self, reconstructions: Any, images: Any) -> Any:
        """LPIPS of grey images in [0, 1], (N,)."""
        assert self.perceptual_loss is not None
        fake, real = (2.0 * value.repeat(1, 3, 1, 1) - 1.0 for value in (reconstructions, images))
        return self.perceptual_loss(fake, real)

    def train_step(self, images: Any) -> float:
        """One step of the autoencoder, then one of the discriminator; gives the autoencoder's loss."""
        if self.compiled:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.autocast:
            loss, reconstructions = self.autoencoder_loss(images)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.discriminator is not None:
            with self.autocast:
                discriminator_loss = self.discriminator_loss(reconstructions.detach(), images)
            self.discriminator_optimizer.zero_grad()
            discriminator_loss.backward()
            self.discriminator_optimizer.step()
        return float(loss.detach())

    def _autoencoder_loss(self, images: Any) -> Any:
        """The autoencoder's loss, and its reconstructions."""
        reconstructions, mean, log_var = self.autoencoder(images)
        kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum(dim=(1, 2, 3)).mean()
        loss = functional.mse_loss(reconstructions, images) + KL_WEIGHT * kl
        if self.perceptual_loss is not None:
            loss = loss + LPIPS_WEIGHT * self.perceptual(reconstructions, images).mean()
        if self.discriminator is not None:
            logits = self.discriminator(reconstructions)
            loss = loss + ADVERSARIAL_WEIGHT * functional.mse_loss(logits, torch.ones_like(logits))
        return loss, reconstructions

    def _discriminator_loss(self, reconstructions: Any, images: Any) -> Any:
        assert self.discriminator is not None
        fake, real = self.discriminator(reconstructions), self.discriminator(images)
        return 0.5 * (
            functional.mse_loss(fake, torch.zeros_like(fake)) + functional.mse_loss(real, torch.ones_like(real))
        )


def parameters_of(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters())


def channels_first(images: Any) -> Any:
    """PyTorch's tensor of a NumPy array (N, H, W, C)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
