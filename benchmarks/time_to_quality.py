"""Training time until a model's test figures are better than those of a PyTorch peer after ten epochs.

The peer is explainingai-code/VAE-Pytorch with its own recipe on MNIST. MSE is over all test images, LPIPS (VGG16, three
taps) over the first 1,000. Measuring the figures is not counted as training time.

Run: python benchmarks/time_to_quality.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import small
import tensorflow as tf
from machine import heading

from keras_vae.config import preset
from keras_vae.data import build_augmentation, load_dataset, steps_per_epoch, training_batches
from keras_vae.losses import LPIPS
from keras_vae.training import VAETrainer, build_trainer

# Latent size → (MSE, LPIPS) of the peer after 600,000 images.
PEER = {2: (0.0420, 0.1038), 4: (0.0297, 0.0738), 16: (0.0091, 0.0263)}
PEER_IMAGES = 600_000
LPIPS_IMAGES = 1000
BATCH = 250


class UntilPassed(keras.callbacks.Callback):
    """Stops training when both figures of the averaged weights are below the peer's; `seconds` is the training time."""

    def __init__(self, images: np.ndarray, mse: float, lpips: float, interval: int) -> None:
        super().__init__()
        self.images, self.mse, self.lpips, self.interval = images, mse, lpips, interval
        self.distance = LPIPS(reduction=None, dtype="float32")
        self.seconds, self.steps = 0.0, 0
        self.found: tuple[float, float] | None = None

    def on_train_begin(self, logs: object = None) -> None:
        trainer: VAETrainer = self.model
        self.reconstruct = tf.function(trainer.inference_vae.reconstruct)
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps += 1
        if self.steps % self.interval:
            return
        self.seconds += time.perf_counter() - self._begin
        mse, lpips = self.figures()
        if mse <= self.mse and lpips <= self.lpips:
            self.found = mse, lpips
            self.model.stop_training = True
        self._begin = time.perf_counter()

    def figures(self) -> tuple[float, float]:
        """MSE over all images, LPIPS over the first ones."""
        errors, distances = [], []
        for start in range(0, len(self.images), BATCH):
            batch = self.images[start : start + BATCH]
            reconstructions = self.reconstruct(batch)
            errors.append(np.square(batch - reconstructions).mean())
            if start < LPIPS_IMAGES:
                distances.append(np.mean(self.distance(batch, reconstructions)))
        return float(np.mean(errors)), float(np.mean(distances))


def main() -> None:
    """Train each latent size until it is better, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--epochs", type=int, default=2, help="planned length of the run and of its schedules")
    parser.add_argument("--interval", type=int, default=25, help="steps between two measurements")
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        dataset = load_dataset(small.write_idx(Path(folder)) if arguments.smoke else arguments.dataset)
    if arguments.smoke:
        arguments.epochs, arguments.interval = 1, 2
    images = dataset.test.first(dataset.test.count)[0].astype("float32") / 255
    print(f"{heading()}\n")
    print(
        "| latent | peer's MSE, LPIPS | ours when passed | seconds of training | images | share of the peer's images |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for latent, (mse, lpips) in PEER.items():
        config = preset(f"mnist-latent{latent}").replace(epochs=arguments.epochs)
        if arguments.smoke and latent != min(PEER):
            continue
        if arguments.smoke:
            # VGG16 measures the figures all the same, and in the step it takes longest to trace.
            config = small.small(config).replace(objective__perceptual_weight=0.0)
        steps = steps_per_epoch(dataset.train, config.data.batch_size)
        trainer = build_trainer(config, steps)
        until = UntilPassed(images, mse, lpips, arguments.interval)
        augment = build_augmentation(config.data.augment, dataset.image_shape, config.seed)
        batches = training_batches(dataset.train, config.data.batch_size, seed=config.seed, augment=augment)
        trainer.fit(batches, steps_per_epoch=steps, epochs=config.epochs, verbose=0, callbacks=[until])
        seen = until.steps * config.data.batch_size
        ours = f"{until.found[0]:.4f}, {until.found[1]:.4f}" if until.found else "not passed"
        share = f"{seen / PEER_IMAGES:.1%}"
        print(f"| {latent} | {mse}, {lpips} | {ours} | {until.seconds:.0f} | {seen:,} | {share} |", flush=True)


if __name__ == "__main__":
    main()
