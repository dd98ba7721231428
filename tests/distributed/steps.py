"""Train a tiny model for twenty steps alone, on two devices or as one of several workers, and write its weights.

``python steps.py OUT.npz [--strategy S] [--accumulate N] [--recompute] [key=value ...]``; the values are settings of
the run in JSON. Without arguments it reads them from stdin, a run a line, and prints a line after each: starting
TensorFlow takes about as long as a run.
"""

import argparse
import contextlib
import json
import shlex
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, evaluation_batches, training_batches
from keras_vae.training import build_trainer
from keras_vae.training.cluster import find_cluster
from keras_vae.training.distribution import build_distribution
from keras_vae.training.execution import Execution

# Where an image is flat, as reconstructions are at first, rounding alone switches VGG16's ReLUs and max pools, and each
# switch moves weights by a hundredth of a step. With smooth functions in their place, it is a ten-thousandth.
ops.relu, ops.max_pool = ops.softplus, ops.average_pool

STEPS, BATCH = 20, 64
# Each kind of layer once: what a run takes is mostly tracing, which grows with the number of layers.
TINY = {
    "model__image_shape": (12, 12, 1),
    "model__widths": (8,),
    "model__groups": 4,
    "model__mapping_layers": 1,
    "model__mapping_width": 16,
    "discriminator__widths": (8, 8),
    "objective__adversarial_start": 0.1,
    "optimizer__learning_rate": 5e-4,
    "optimizer__discriminator_learning_rate": 1e-4,
    "data__batch_size": BATCH,
    "precision": "float32",
    "epochs": 2,
}


def splits():
    """Training images for ten steps, and test images whose last batch is smaller than the others."""
    images = np.random.default_rng(0).integers(0, 256, (BATCH * 10 + 150, *TINY["model__image_shape"]), "uint8")
    labels = np.arange(len(images), dtype="int32") % 3
    return ArraySplit(images[150:], labels[150:]), ArraySplit(images[:150], labels[:150])


def run(words):
    """Train as the words say, and write what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--strategy", default="one")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--recompute", action="store_true")
    arguments = parser.parse_intermixed_args(words)
    keras.utils.clear_session()  # it also numbers the layers' names
    distribution = build_distribution(arguments.strategy, find_cluster())

    config = (
        RunConfig()
        .replace(**TINY)
        .replace(**{key: json.loads(value) for key, value in (setting.split("=") for setting in arguments.settings)})
    )
    training, test = splits()
    part = distribution.part
    execution = Execution(arguments.strategy, arguments.accumulate, arguments.recompute)
    with distribution.strategy.scope():
        trainer = build_trainer(config, STEPS // 2, execution)
    # Adam divides by a gradient's size. Nothing depends on the bias of attention's keys, so its gradient is only
    # rounding, and with a smaller epsilon the test would compare rounding.
    for optimizer in (trainer.optimizer, trainer.discriminator_optimizer):
        optimizer.inner_optimizer.epsilon = 1e-3
    history = trainer.fit(
        distribution.batches(training_batches(training, BATCH, seed=0, part=part)),
        epochs=2,
        steps_per_epoch=STEPS // 2,
        validation_data=distribution.batches(evaluation_batches(test, 32, part)),
        shuffle=False,
        verbose=0,
    ).history
    arrays = {}
    for owner in ("vae", "ema_vae", "discriminator", "feature_discriminator"):
        with contextlib.suppress(AttributeError):  # for those that the trainer lacks
            variables = getattr(trainer, owner).variables
            arrays |= {f"{owner}/{index}/{variable.path}": variable.numpy() for index, variable in enumerate(variables)}
    np.savez(arguments.out, **arrays, **{f"history/{name}": values for name, values in history.items()})
    distribution.from_chief(0)


def main():
    """One run, or those of stdin."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the commands do
    if "mirrored" in sys.argv:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    if sys.argv[1:]:
        run(sys.argv[1:])
        return
    for line in sys.stdin:
        run(shlex.split(line))
        print("done", flush=True)


if __name__ == "__main__":
    main()
