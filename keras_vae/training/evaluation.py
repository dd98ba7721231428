"""How good a model is on a whole split, measured as `VAETrainer` measures it each epoch."""

from __future__ import annotations

import keras

from keras_vae.config import ObjectiveConfig
from keras_vae.data import Split, evaluation_batches
from keras_vae.losses import LPIPS
from keras_vae.models import VAE
from keras_vae.training.trainer import VAETrainer

REPORTED = ("mse", "psnr", "ssim", "lpips", "elbo", "nll", "kl")


def evaluate_model(vae: VAE, split: Split, batch_size: int = 256, *, seed: int = 0) -> dict[str, float]:
    """``mse psnr ssim lpips`` and ``elbo nll kl`` (nats an image) of all of ``split``; ``seed`` is of the ELBO's z.

    LPIPS is the bundled one of three taps, on all images (during training it is taken on a part).
    """
    vae.sampling.seed_generator.state.assign(keras.random.SeedGenerator(seed).state)
    trainer = VAETrainer(vae, perceptual_loss=LPIPS(reduction=None), config=ObjectiveConfig(perceptual_fraction=1.0))
    trainer.compile()
    measured = trainer.evaluate(evaluation_batches(split, batch_size), verbose=0, return_dict=True)
    return {name: float(measured[name]) for name in REPORTED}
