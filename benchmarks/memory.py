"""Peak memory of training on 256×256 colour images in batches of 4 with all losses, by attention and memory saving.

Attention over H·W positions holds (H·W)² weights per head, so it suits coarse levels only (``attention_resolution``).
Each case is trained in its own process, and its largest resident memory is reported. The bound is 8 GB.

Run: python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import small
import tensorflow as tf
from machine import heading

from keras_vae.config import RunConfig, preset
from keras_vae.training.build import build_trainer
from keras_vae.training.execution import Execution

# Name of the case → largest side of maps with attention, and how a step is executed.
CASES = {
    "8×8": (8, Execution()),
    "16×16": (16, Execution()),
    "32×32": (32, Execution()),
    "64×64": (64, Execution()),
    "64×64, `--recompute`": (64, Execution(recompute=True)),
    "64×64, `--accumulate 2`": (64, Execution(accumulate=2)),
    "64×64, `--accumulate 4 --recompute`": (64, Execution(accumulate=4, recompute=True)),
}
BOUND = 8e9


def config_with(attention_resolution: int) -> RunConfig:
    """Five levels from 128×128 to 8×8, the perceptual loss on every image, and the PatchGAN paper's discriminator."""
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


def train(config: RunConfig, execution: Execution, steps: int) -> None:
    """Train on noise and print the number of parameters, the peak in bytes and the seconds per step."""
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    trainer = build_trainer(config, steps, execution)
    images = tf.random.stateless_uniform((config.data.batch_size, *config.model.image_shape), (0, 0))
    batches = tf.data.Dataset.from_tensors(images)
    trainer.fit(batches, verbose=0)  # traces
    begin = time.perf_counter()
    trainer.fit(batches.repeat(steps), verbose=0)
    seconds = (time.perf_counter() - begin) / steps
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
    print(trainer.vae.count_params(), peak, seconds)


def main() -> None:
    """Start a process per case and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help="train only this case, in this process")
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.steps = 1
    if arguments.case is not None:
        attention_resolution, execution = CASES[arguments.case]
        config = config_with(attention_resolution)
        if arguments.smoke:
            config = small.small(config).replace(
                model__image_shape=(32, 32, 3),
                model__attention_resolution=8,
                objective__perceptual_weight=0.0,  # VGG16 takes longest to trace
            )
        train(config, execution, arguments.steps)
        return
    # The one with every option.
    cases = list(CASES)[-1:] if arguments.smoke else CASES
    print(f"{heading()}\n")
    print("| attention up to | parameters of the VAE | peak memory, GB | within 8 GB | seconds per step |")
    print("| --- | --- | --- | --- | --- |")
    for case in cases:
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--case", case]
        if arguments.smoke:
            command.append("--smoke")
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        parameters, peak, seconds = output.split()[-3:]
        within = "yes" if int(peak) < BOUND else "no"
        print(f"| {case} | {int(parameters):,} | {int(peak) / 1e9:.1f} | {within} | {float(seconds):.1f} |", flush=True)


if __name__ == "__main__":
    main()
