"""Images per second of the default preset's training step, its parts added one by one, in float32 and mixed_bfloat16.

All variants run in one process, in turns, so that a busy machine slows them alike. Run: python benchmarks/train_step.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from keras_vae.config import preset
from keras_vae.training.build import build_trainer

PARTS = {
    "VAE": {"objective__adversarial_weight": 0.0, "objective__perceptual_weight": 0.0},
    "+ PatchGAN": {"objective__perceptual_weight": 0.0},
    "+ VGG16": {},
}
PRECISIONS = ("float32", "mixed_bfloat16")


def training_step(precision: str, changes: dict[str, float], batch_size: int) -> Callable[[], object]:
    """The compiled step of the default preset, on a batch of noise."""
    config = preset("mnist").replace(precision=precision, **changes)
    trainer = build_trainer(config, steps_per_epoch=1000)
    trainer.make_train_function()
    batch = tf.random.uniform((batch_size, *config.model.image_shape), seed=0)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: trainer.train_function(batches)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=preset("mnist").data.batch_size)
    arguments = parser.parse_args()
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    steps = {
        (part, precision): training_step(precision, changes, arguments.batch_size)
        for part, changes in PARTS.items()
        for precision in PRECISIONS
    }
    for step in steps.values():
        step()
        step()
    rates: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for _ in range(arguments.rounds):
        for key, step in steps.items():
            begin = time.perf_counter()
            step()
            rates[key].append(arguments.batch_size / (time.perf_counter() - begin))
    print(f"| step, batch {arguments.batch_size} | " + " | ".join(PRECISIONS) + " |")
    print("| --- |" + " --- |" * len(PRECISIONS))
    for part in PARTS:
        cells = []
        for precision in PRECISIONS:
            lower, median, upper = statistics.quantiles(rates[part, precision], n=4)
            cells.append(f"{median:.0f} ({lower:.0f} to {upper:.0f})")
        print(f"| {part} | " + " | ".join(cells) + " |")
    print("\nImages per second: median (quartiles).")


if __name__ == "__main__":
    main()
