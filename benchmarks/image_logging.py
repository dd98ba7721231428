"""Measure the share of a run's time that drawing TensorBoard's pictures takes; the bound is 5%.

Trains the default preset for a few epochs, as ``keras-vae train`` does. Run: python benchmarks/image_logging.py
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import small
import tensorflow as tf
from machine import heading

from keras_vae.callbacks import EpochImages, fit_run
from keras_vae.config import preset
from keras_vae.data import load_dataset, steps_per_epoch
from keras_vae.training import RunDirectory, build_trainer

draw = EpochImages.draw
seconds: list[float] = []


def timed_draw(*arguments: Any) -> Any:
    """`EpochImages.draw`, timed."""
    begin = time.perf_counter()
    pictures = draw(*arguments)
    seconds.append(time.perf_counter() - begin)
    return pictures


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--epochs", type=int, default=6)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    EpochImages.draw = timed_draw  # type: ignore[method-assign,assignment]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        config = preset("mnist").replace(epochs=arguments.epochs)
        if arguments.smoke:
            config = small.small(config).replace(epochs=2, objective__perceptual_weight=0.0)
            arguments.dataset = small.write_idx(Path(folder))
        dataset = load_dataset(arguments.dataset)
        config = config.replace(model__image_shape=dataset.image_shape)
        trainer = build_trainer(config, steps_per_epoch(dataset.train, config.data.batch_size))
        run = RunDirectory.create(Path(folder) / "run")
        fit_run(run, config, dataset, trainer)
        epochs = [row["seconds"] for row in run.read_metrics()]
    print(f"{heading()}\n")
    total = sum(epochs) + sum(seconds)
    print(f"{dataset.name}: {len(epochs)} epochs in {total:.1f} s, {sum(seconds):.2f} s of them drawing pictures")
    print(f"share {sum(seconds) / total:.1%}; without the first epoch {sum(seconds[1:]) / (total - epochs[0]):.1%}")
    print(f"{len(seconds)} of {len(epochs)} epochs have pictures")


if __name__ == "__main__":
    main()
