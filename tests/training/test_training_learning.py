"""The preset's model learns real digits in fifty steps, with every loss on."""

import numpy as np
import pytest

from keras_vae.config import preset
from keras_vae.data import load_dataset, training_batches
from keras_vae.training import build_trainer

pytestmark = pytest.mark.slow

# Bound on the error as a share of the best constant image's, which is the mean of the training images. The measured
# share is 0.87; the test asks for three quarters of that gain.
SHARE = 0.9


def test_fifty_steps_reconstruct_digits_better_than_the_best_constant_image_through_an_informative_latent():
    # Warm-ups are shares of a run. In a run this short, the discriminator counts from the start, batches are smaller
    # and steps larger.
    config = preset("mnist").replace(
        epochs=2,
        data__batch_size=32,
        objective__adversarial_start=0.0,
        optimizer__learning_rate=3e-3,
        optimizer__ema=0.99,
        precision="float32",
        jit="off",
    )
    digits = load_dataset("sample")
    steps = 25
    trainer = build_trainer(config, steps)

    batches = training_batches(digits.train, config.data.batch_size, seed=config.seed)
    logs = trainer.fit(batches, epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0).history

    assert logs["skipped_steps"] == [0, 0]
    assert {"nll", "kl", "lpips", "adversarial", "discriminator"} <= logs.keys()
    train, test = (split.images.astype("float32") / 255 for split in (digits.train, digits.test))
    vae = trainer.inference_vae
    mean, log_var = (np.asarray(part, "float64") for part in vae.encode(test))
    error = np.square(test - np.asarray(vae.reconstruct(test))).mean()
    constant = np.square(test - train.mean(axis=0)).mean()
    kl = 0.5 * (mean**2 + np.exp(log_var) - 1 - log_var).sum(axis=1).mean()
    assert error < SHARE * constant
    assert kl > 1.0
