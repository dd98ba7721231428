"""Where the pseudo-inputs of a VampPrior start when a model is trained with it."""

from __future__ import annotations

import numpy as np

from keras_vae.data import Split
from keras_vae.latents import VampPrior
from keras_vae.training.trainer import VAETrainer

# The first images of a split, among which those for the pseudo-inputs are chosen at random: a split may be sorted.
CHOSEN_AMONG = 4096


def start_pseudo_inputs(trainer: VAETrainer, split: Split, seed: int) -> None:
    """Make random images of ``split`` the pseudo-inputs of the model and of its average, if their prior has any.

    Reference: Tomczak & Welling 2018, "VAE with a VampPrior", section 4.2.
    """
    prior = trainer.vae.prior
    if not isinstance(prior, VampPrior):
        return
    images, _ = split.first(min(split.count, max(CHOSEN_AMONG, prior.components)))
    chosen = np.random.default_rng(seed).permutation(len(images))[: prior.components]
    for vae in filter(None, (trainer.vae, trainer.ema_vae)):
        vae.prior.use_images(images[chosen].astype(np.float32) / np.float32(255))
