"""Schedules over a run: β, the adversarial start and the learning rates."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.config import ObjectiveConfig


def beta_at(step: Any, config: ObjectiveConfig, total_steps: int | None) -> Any:
    """β at ``step``: linear from ``beta_start`` to ``beta`` over the warm-up share of each cycle, then constant.

    A float32 scalar. Without ``total_steps``, β is constant, because the warm-up is a share of the run.

    Reference: Bowman et al. 2016 (linear); Fu et al. 2019, "Cyclical Annealing Schedule", eqs. 6 and 7.
    """
    if total_steps is None or config.beta_warmup == 0:
        return ops.full((), config.beta, dtype="float32")
    cycle = total_steps / config.beta_cycles
    # The last step belongs to the last cycle; a run that continues beyond its planned length stays at full β.
    step = ops.minimum(ops.cast(step, "float32"), total_steps - 1.0)
    position = ops.mod(step, cycle) / cycle
    return config.beta_start + (config.beta - config.beta_start) * ops.minimum(position / config.beta_warmup, 1.0)


def is_adversarial_at(step: Any, config: ObjectiveConfig, total_steps: int | None) -> Any:
    """Whether the autoencoder's loss includes the adversarial part at ``step``; bool ()."""
    return ops.cast(step, "float32") >= config.adversarial_start * (total_steps or 0)


def warmup_cosine(peak: float, warmup: float, total_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear rise over the first ``warmup`` share of the run, then half a cosine to zero (Loshchilov & Hutter 2017)."""
    warmup_steps = round(warmup * total_steps)
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(peak, total_steps)
    return keras.optimizers.schedules.CosineDecay(
        peak / warmup_steps, max(total_steps - warmup_steps, 1), warmup_target=peak, warmup_steps=warmup_steps
    )
