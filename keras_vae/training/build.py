"""Build a compiled trainer from a run's configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_vae.config import ObjectiveConfig, OptimizerConfig, RunConfig
from keras_vae.losses import LPIPS
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator
from keras_vae.training.device import choose_jit, choose_precision
from keras_vae.training.distribution import replicas
from keras_vae.training.execution import ONE_DEVICE, Execution
from keras_vae.training.fine_tuning import started_from
from keras_vae.training.muon import Muon
from keras_vae.training.optimizers import FusedAdamW
from keras_vae.training.schedules import warmup_cosine
from keras_vae.training.trainer import VAETrainer

# Layers where images and latents enter and leave the networks, tables of vectors, and learned priors, which are mostly
# such tables. Muon is for the layers between (Jordan et al. 2024).
ENDS = (
    "encoder/stem",
    "mean",
    "log_var",
    "quant_conv",
    "decoder/mapping_0",
    "to_image",
    "embedding",
    "codebook",
    r"(^|/)prior/",
)


def build_trainer(
    config: RunConfig, steps_per_epoch: int, execution: Execution = ONE_DEVICE, source: VAE | None = None
) -> VAETrainer:
    """Seed Keras and build the trainer that ``config`` describes, ready to ``fit``, in the precision that it names.

    It trains a new model, or a copy of ``source``.

    If ``execution`` names more than one device, call this inside the strategy's scope.

    Raises:
        InputError: if the model's or the loss's settings do not fit together.
    """
    keras.utils.set_random_seed(config.seed)
    execution.check(config, replicas())
    total_steps = config.epochs * steps_per_epoch
    with _dtype_policy(choose_precision(config.precision).value):
        vae = VAE.from_model_config(config.model) if source is None else started_from(source, config)
        if execution.recompute:
            for block in (*vae.encoder.levels, *vae.decoder.levels):
                block.recompute = True
        discriminator = None
        if config.objective.adversarial_weight:
            discriminator = PatchDiscriminator(config.model.image_shape, **config.discriminator.as_dict())
        perceptual_loss = build_perceptual_loss(config.objective)
        trainer = VAETrainer(
            vae,
            discriminator,
            perceptual_loss,
            config.objective,
            feature_discriminator=_feature_discriminator(config, perceptual_loss),
            total_steps=total_steps,
            ema=config.optimizer.ema,
            accumulate=execution.accumulate,
        )
        trainer.compile(
            _autoencoder_optimizer(config.optimizer, total_steps),
            _optimizer(FusedAdamW, config.optimizer, config.optimizer.discriminator_learning_rate, total_steps),
            jit_compile=choose_jit(config.jit, replicas()).value == "on",
            steps_per_execution=config.steps_per_execution,
        )
    return trainer


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Set Keras's global policy inside the block, then restore the caller's."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def build_perceptual_loss(config: ObjectiveConfig) -> LPIPS | None:
    """The perceptual loss that ``config`` names, or None if its weight is 0."""
    if not config.perceptual_weight:
        return None
    return LPIPS(config.perceptual_weights, config.perceptual_taps, reduction=None)


def _feature_discriminator(config: RunConfig, perceptual_loss: LPIPS | None) -> FeatureDiscriminator | None:
    objective = config.objective
    if perceptual_loss is None or not (objective.adversarial_weight and objective.feature_weight):
        return None
    shapes = perceptual_loss.feature_shapes(config.model.image_shape)[1:]
    return FeatureDiscriminator(shapes) if shapes else None


def _autoencoder_optimizer(config: OptimizerConfig, total_steps: int) -> keras.optimizers.Optimizer:
    if config.optimizer == "adamw":
        return _optimizer(FusedAdamW, config, config.learning_rate, total_steps)
    return _optimizer(Muon, config, config.learning_rate, total_steps, exclude_layers=ENDS)


def _optimizer(
    kind: type[FusedAdamW], config: OptimizerConfig, peak: float, total_steps: int, **options: Any
) -> keras.optimizers.Optimizer:
    return kind(
        warmup_cosine(peak, config.learning_rate_warmup, total_steps),
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
        # As usual, weight decay shrinks only kernels.
        without_decay=("bias", "gamma", "beta"),
        **options,
    )
