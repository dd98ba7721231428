"""A trainer so small that building it takes most of the time, and helpers that the training tests share."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_vae.config import ObjectiveConfig
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator
from keras_vae.training import VAETrainer

SHAPE = (12, 12, 1)
# Every part of the objective from the first step on.
AT_ONCE = ObjectiveConfig(beta_warmup=0.0, adversarial_start=0.0)
# What an eager step takes grows with the number of layers, not with their widths.
FEW_LAYERS = {"widths": (8,), "attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
# All that a model may have, for tests to which each kind of layer matters: in two levels, and each kind once.
ALL_LAYERS = {"widths": (8, 16), "attention_resolution": 7, "mapping_layers": 3, "generative_skips": True}
EACH_LAYER = {**ALL_LAYERS, "widths": (8,), "mapping_layers": 1}


def random_images(count=4, seed=0):
    return np.random.default_rng(seed).random((count, *SHAPE), "float32")


def absolute_distance(images, reconstructions):
    """A stand-in for LPIPS with the same arguments and shapes, at a millionth of the work."""
    return ops.mean(ops.abs(images - reconstructions), axis=(1, 2, 3))


def make_vae(**options):
    return VAE(SHAPE, **{"latent_dim": 2, "groups": 4, **FEW_LAYERS, **options})


def make_discriminator(normalization="spectral"):
    return PatchDiscriminator(SHAPE, (8, 8), normalization=normalization)


def make_trainer(
    config=AT_ONCE,
    *,
    perceptual=absolute_distance,
    discriminator=True,
    features=False,
    total_steps=None,
    ema=0.0,
    **options,
):
    """An uncompiled trainer of a model of few layers; ``options`` go to the model.

    ``features`` adds a discriminator of LPIPS features.
    """
    player = make_discriminator() if discriminator else None
    feature_player = FeatureDiscriminator([(6, 6, 128), (3, 3, 256)], width=4) if features else None
    return VAETrainer(
        make_vae(**options),
        player,
        perceptual,
        config,
        feature_discriminator=feature_player,
        total_steps=total_steps,
        ema=ema,
    )


def compiled(trainer, learning_rate=1e-2, discriminator_learning_rate=1e-2):
    """The same trainer with plain gradient descent, run step by step."""
    trainer.compile(
        keras.optimizers.SGD(learning_rate),
        keras.optimizers.SGD(discriminator_learning_rate),
        run_eagerly=True,
        jit_compile=False,
    )
    return trainer


def train_on(trainer, *batch):
    return trainer.train_on_batch(*batch, return_dict=True)


def values_of(variables):
    return [variable.numpy().copy() for variable in variables]


def are_equal(first, second):
    """Whether two lists of arrays agree bit for bit."""
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def variables_of(trainer):
    """Everything that a checkpoint has to hold."""
    optimizers = [trainer.optimizer]
    if trainer.discriminator is not None:
        optimizers.append(trainer.discriminator_optimizer)
    return [*trainer.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]


def state_of(trainer):
    return values_of(variables_of(trainer))


@contextlib.contextmanager
def restored(trainer):
    """Give back a compiled trainer that several tests share as it was taken."""
    variables, before = variables_of(trainer), state_of(trainer)
    yield trainer
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    trainer.stop_training = False
