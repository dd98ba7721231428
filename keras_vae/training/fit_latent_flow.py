"""Fit a latent flow to the spatial latents of a finished model, whose encoder and decoder stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.data import Split
from keras_vae.errors import InputError
from keras_vae.latents import LatentFlow
from keras_vae.models import VAE
from keras_vae.training.fit_prior import EVALUATED, HELD_OUT, Array, batches_of, check_fit, with_prior
from keras_vae.training.posteriors import TRAINING_POSTERIORS, posteriors_of
from keras_vae.training.schedules import warmup_cosine

# Decay of the averaged weights, which are kept.
AVERAGE = 0.999


@dataclasses.dataclass(frozen=True)
class FlowFit:
    """A fitted latent flow in figures, for JSON.

    Args:
        prior: "latent-flow".
        epochs: epochs that were made.
        best_epoch: the one whose weights are kept.
        matching_loss: `LatentFlow.matching_loss` of held-out images. Its least value is above 0, since many lines cross
            at a point.
    """

    prior: str
    epochs: int
    best_epoch: int
    matching_loss: float


def fit_latent_flow(
    vae: VAE,
    split: Split,
    *,
    epochs: int = 50,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[VAE, FlowFit]:
    """A copy of ``vae`` that draws new latents by a flow to those of training images, and the fit's figures.

    Each epoch draws z anew from the posteriors. The averaged weights of the epoch that is best on a tenth of the
    images, which are held out, are kept.

    Args:
        vae: a model of spatial latents with its default bottleneck, unconditional; it is not changed.
        split: its first images, at most `TRAINING_POSTERIORS`.
        epochs: passes over the images.
        batch_size: images a step.
        learning_rate: AdamW's peak rate; it warms up and falls to zero over ``epochs``.
        seed: seed of everything random.
        say: called with one line after each epoch.

    Raises:
        InputError: if the model cannot have a latent flow, there are fewer than 20 images, or the fit is not finite.
    """
    check_fit(vae, split, "latent-flow")
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    fitted = with_prior(vae, "latent-flow", 1)
    flow: LatentFlow = fitted.prior
    means, log_vars, _ = posteriors_of(vae, split, TRAINING_POSTERIORS)
    order = rng.permutation(len(means))
    held_out, training = np.split(order, [max(1, round(HELD_OUT * len(means)))])

    def draws(chosen: Any) -> Array:
        noise = rng.standard_normal((len(chosen), vae.latent_dim), np.float32) if vae.variational else np.float32(0)
        z: Array = means[chosen] + np.exp(0.5 * log_vars[chosen]) * noise
        return z.reshape(-1, *vae.latent_shape)

    validation = draws(held_out[:EVALUATED])
    flow.start_from(None, draws(training))
    batch_size = min(batch_size, len(training))
    steps = epochs * (len(training) // batch_size)
    step, averages = _compiled_step(flow, warmup_cosine(learning_rate, 0.05, steps), seed)
    best: tuple[float, int, list[Any]] = (np.inf, 0, [])
    for epoch in range(1, epochs + 1):
        for batch in batches_of(rng.permutation(training), batch_size):
            step(draws(batch))
        loss = _loss_of(flow, averages, validation)
        if loss < best[0]:
            best = (loss, epoch, [np.array(average) for average in averages])
        if say:
            say(f"epoch {epoch}: matching loss {loss:.4f} on held-out images, best {best[0]:.4f} in epoch {best[1]}")
    loss, best_epoch, weights = best
    if not np.isfinite(loss):
        raise InputError("the latent flow diverged; try a smaller --learning-rate")
    for variable, weight in zip(flow.trainable_variables, weights, strict=True):
        variable.assign(weight)
    return fitted, FlowFit("latent-flow", epochs, best_epoch, loss)


def _compiled_step(
    flow: LatentFlow, learning_rate: Any, seed: int
) -> tuple[Callable[[Array], None], list[tf.Variable]]:
    """One step on a batch of latents, and the averaged weights that it keeps."""
    variables = flow.trainable_variables
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=1e-4, global_clipnorm=1.0)
    optimizer.build(variables)
    averages = [tf.Variable(variable.value) for variable in variables]
    generator = keras.random.SeedGenerator(seed)
    count = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec((None, *flow.latent_shape), tf.float32)], autograph=False)
    def step(z: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = flow.matching_loss(z, seed=generator)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        count.assign_add(1.0)
        # Early on a long memory would hold on to the initial weights.
        share = 1.0 - tf.minimum(AVERAGE, (1.0 + count) / (10.0 + count))
        for average, variable in zip(averages, variables, strict=True):
            average.assign_sub(share * (average - variable.value))

    return step, averages


def _loss_of(flow: LatentFlow, averages: list[tf.Variable], z: Array) -> float:
    """The matching loss of the averaged weights, with the same noise each time."""
    variables = flow.trainable_variables
    current = [np.array(variable) for variable in variables]
    try:
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(average)
        return float(flow.matching_loss(z, seed=0))
    finally:
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)
