"""Peak memory of training on 256×256 colour images, batch 4, all losses on, by the maps that attend to themselves.

Attention over H·W positions holds (H·W)² weights a head, so that it is for coarse levels (``attention_resolution``).
Each size is trained in a process of its own, whose largest resident memory is its figure. The bound is 8 GB.

Run: python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from keras_vae.config import RunConfig, preset
from keras_vae.training.build import build_trainer

RESOLUTIONS = (8, 16, 32, 64)
BOUND = 8e9


def config_with(attention_resolution: int) -> RunConfig:
    """Five levels, 128×128 to 8×8, and the perceptual loss on every image, with a discriminator as in the paper."""
    return preset("mnist").replace(
        model__image_shape=(256, 256, 3),
        model__latent_dim=64,
        model__widths=(32, 64, 128, 128, 128),
        model__attention_resolution=attention_resolution,
        discriminator__widths=(64, 128, 256, 512),
        objective__perceptual_fraction=1.0,
        objective__adversarial_start=0.0,
        data__batch_size=4,
    )


def train(config: RunConfig, steps: int) -> None:
    """Train on noise and print the number of parameters and the peak in bytes."""
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    trainer = build_trainer(config, steps_per_epoch=steps)
    images = tf.random.stateless_uniform((config.data.batch_size, *config.model.image_shape), (0, 0))
    trainer.fit(tf.data.Dataset.from_tensors(images).repeat(steps), verbose=0)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
    print(trainer.vae.count_params(), peak)


def main() -> None:
    """Start a process for each size and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--attention-resolution", type=int, help="train this size alone, in this process")
    arguments = parser.parse_args()
    if arguments.attention_resolution is not None:
        train(config_with(arguments.attention_resolution), arguments.steps)
        return
    print("| attention up to | parameters of the VAE | peak memory, GB | within 8 GB |")
    print("| --- | --- | --- | --- |")
    for resolution in RESOLUTIONS:
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--attention-resolution", str(resolution)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        parameters, peak = map(int, output.split()[-2:])
        within = "yes" if peak < BOUND else "no"
        print(
            f"| {resolution}×{resolution} | {parameters:,} | {peak / 1e9:.1f} | {within} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
