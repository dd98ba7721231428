"""The PyTorch peer of the photograph benchmark: diffusers' AutoencoderKL and a training step.

The step is a plain loop's, by the recipe of diffusers' ``train_autoencoderkl.py``: squared error plus half of LPIPS for
every value, summed over the image, 1e-6 of the KL, AdamW, gradients of norm 1 at most, a warm-up and a cosine. Its
discriminator starts at step 50,001, so there is none. Its learning rate, 4.5e-6, is for fine-tuning; here it is larger.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from torch.nn import functional
from torch_peer import PerceptualLoss, channels_first

from keras_vae.losses.vgg16 import BUNDLED_WEIGHTS

Images = npt.NDArray[np.float32]

LEARNING_RATE, WEIGHT_DECAY, LARGEST_NORM, WARMUP = 1e-3, 1e-2, 1.0, 0.03
KL_WEIGHT, LPIPS_WEIGHT, TAPS = 1e-6, 0.5, 3


class DiffusersPeer:
    """An autoencoder with latents of 4 channels and a quarter of the sides, and its optimizer.

    Args:
        widths: channels of the three levels; diffusers starts at full resolution.
        bfloat16: compute under autocast, with the memory format channels_last.
    """

    def __init__(self, widths: tuple[int, int, int], *, bfloat16: bool) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.model = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=widths,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=8,
        )
        self.perceptual_loss = PerceptualLoss(BUNDLED_WEIGHTS, TAPS)
        self.bfloat16 = bfloat16
        if bfloat16:
            self.model.to(memory_format=torch.channels_last)
            self.perceptual_loss.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def step(self, images: Images, done: float) -> None:
        """Train on images (N, H, W, 3) in [0, 1]; ``done`` is the fraction of the training that is over."""
        rate = LEARNING_RATE * min(1.0, done / WARMUP) * 0.5 * (1.0 + math.cos(math.pi * done))
        self.optimizer.param_groups[0]["lr"] = rate
        targets = self._input(images)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            posterior = self.model.encode(targets).latent_dist
            reconstructions = self.model.decode(posterior.sample()).sample
            lpips = self.perceptual_loss(reconstructions, targets)
        errors = functional.mse_loss(reconstructions.float(), targets, reduction="none").sum(dim=(1, 2, 3))
        loss = (errors + LPIPS_WEIGHT * targets[0].numel() * lpips).mean() + KL_WEIGHT * posterior.kl().mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_NORM)
        self.optimizer.step()

    def reconstruct(self, images: Images) -> Images:
        """Images (N, H, W, 3) through the posterior mean, in float32."""
        with torch.inference_mode():
            found = self.model.decode(self.model.encode(self._input(images)).latent_dist.mode()).sample
        return np.clip(np.moveaxis(found.numpy(), 1, -1) / 2 + 0.5, 0, 1)

    def bits(self, images: Images) -> float:
        """The mean KL of images, in bits an image."""
        with torch.inference_mode():
            return float(self.model.encode(self._input(images)).latent_dist.kl().mean()) / math.log(2)

    def _input(self, images: Images) -> Any:
        """PyTorch's tensor of images, in [-1, 1]."""
        tensor = 2.0 * channels_first(images) - 1.0
        return tensor.contiguous(memory_format=torch.channels_last) if self.bfloat16 else tensor
