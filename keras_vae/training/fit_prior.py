"""Fit a learned prior to the posteriors of a finished model, whose encoder and decoder stay as they are.

The prior then stands for the aggregate posterior, which the ELBO's optimal prior is (Tomczak & Welling 2018, eq. 7).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.config import check_prior
from keras_vae.data import Split
from keras_vae.errors import InputError
from keras_vae.latents import prior_name
from keras_vae.models import VAE
from keras_vae.training.posteriors import TRAINING_POSTERIORS, posteriors_of
from keras_vae.training.schedules import warmup_cosine

Array = npt.NDArray[np.float32]

# Share of the images that decide which epoch's weights are kept.
HELD_OUT = 0.1
# Draws are evaluated in parts of this many.
EVALUATED = 2048
# An epoch takes from a tenth of a second to minutes.
SECONDS_BETWEEN_LINES = 10


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """How a kind of prior is fitted: defaults of `fit_prior`, the gradients' largest norm, the decay of averages."""

    batch_size: int = 512
    learning_rate: float = 2e-3
    clip_norm: float = 10.0
    average: float = 0.0


_RECIPES = {"latent-flow": _Recipe(batch_size=128, learning_rate=1e-3, clip_norm=1.0, average=0.999)}


@dataclasses.dataclass(frozen=True)
class PriorFit:
    """A fitted prior in figures, for JSON.

    Args:
        prior: its name.
        epochs: epochs that were made.
        best_epoch: the one whose weights are kept; 0 is the start.
        loss: the prior's ``fitting_loss`` of held-out images, of one draw each: ``-E_q[log p(z)]`` in nats; of a latent
            flow its matching loss, whose least value is above 0, since many lines cross at a point.
        loss_before: ``-E_q[log p(z)]`` of the prior that the model had, in nats; None for a latent flow, which has no
            such figure.
    """

    prior: str
    epochs: int
    best_epoch: int
    loss: float
    loss_before: float | None


def fit_prior(
    vae: VAE,
    split: Split,
    name: str,
    *,
    components: int = 64,
    epochs: int = 50,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[VAE, PriorFit]:
    """A copy of ``vae`` with a prior that minimises its ``fitting_loss`` over training images, and its figures.

    Each epoch draws z anew from the posteriors. The weights of the epoch that is best on a tenth of the images, which
    are held out, are kept; fitting ends when the last quarter of ``epochs`` has brought nothing better.

    Args:
        vae: a model with its default bottleneck, which is not changed: for a latent flow one of spatial latents, for
            the other priors a variational one of latent vectors.
        split: its first images, at most `TRAINING_POSTERIORS`.
        name: "vamp", "mixture", "flow" or "latent-flow".
        components: of "vamp" or "mixture".
        epochs: passes over the images, at most.
        batch_size: images a step; by default 512, for a latent flow 128.
        learning_rate: Adam's peak rate, by default 0.002, for a latent flow 0.001; it warms up and falls to zero over
            ``epochs``.
        seed: seed of everything random.
        say: called with one line now and then.

    Raises:
        InputError: if the model cannot have the prior, there are fewer than 20 images, or the fit is not finite.
    """
    images_of = _check(vae, split, name)
    recipe = _RECIPES.get(name, _Recipe())
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    fitted = _with_prior(vae, name, components)
    prior: Any = fitted.prior
    means, log_vars, _ = posteriors_of(vae, split, TRAINING_POSTERIORS)
    order = rng.permutation(len(means))
    held_out, training = np.split(order, [max(1, round(HELD_OUT * len(means)))])

    def draws(chosen: npt.NDArray[np.int64]) -> Array:
        z = means[chosen]
        if vae.variational:
            z = z + np.exp(0.5 * log_vars[chosen]) * rng.standard_normal(z.shape, np.float32)
        return z.reshape(-1, *vae.latent_shape)

    validation = draws(held_out)
    before = None if name == "latent-flow" else _mean(lambda z: -vae.prior.log_prob(z), validation)
    chosen = training[: max(components, EVALUATED)]
    prior.start_from(images_of(chosen[:components]), draws(chosen))

    batch_size = min(batch_size or recipe.batch_size, len(training))
    steps = epochs * (len(training) // batch_size)
    step, averages = _compiled_step(
        prior, warmup_cosine(learning_rate or recipe.learning_rate, 0.05, steps), recipe, seed
    )

    def held_out_loss() -> float:
        # The same noise each time, where a loss draws any.
        return _mean(lambda z: prior.fitting_loss(z, seed=seed), validation)

    best = (held_out_loss(), 0, prior.get_weights())
    epoch, said = 0, time.monotonic()
    for epoch in range(1, epochs + 1):
        for batch in _batches(rng.permutation(training), batch_size):
            step(draws(batch))
        with _averaged(prior, averages):
            loss = held_out_loss()
            if loss < best[0]:
                best = (loss, epoch, prior.get_weights())
        if say and (time.monotonic() - said > SECONDS_BETWEEN_LINES or epoch == epochs):
            said = time.monotonic()
            say(f"epoch {epoch}: loss {loss:.4f} on held-out images, best {best[0]:.4f} in epoch {best[1]}")
        if epoch - best[1] >= max(5, epochs // 4):
            break
    least, best_epoch, weights = best
    if not np.isfinite(least):
        raise InputError(f"the prior {name} diverged; try a smaller --learning-rate")
    prior.set_weights(weights)
    return fitted, PriorFit(name, epoch, best_epoch, least, before)


def _check(vae: VAE, split: Split, name: str) -> Callable[[npt.NDArray[np.int64]], Array]:
    """Check the arguments; returns a function that reads training images by their numbers."""
    is_spatial = len(vae.latent_shape) == 3
    check_prior(
        name,
        latent_shape=vae.latent_shape if is_spatial else None,
        num_classes=vae.num_classes,
        variational=vae.variational,
    )
    if vae.get_config()["bottleneck"] is not None:
        raise InputError(f"the model has a {type(vae.bottleneck).__name__} of its own; give that its prior")
    if split.count < 20:
        raise InputError(f"a prior needs at least 20 training images to be fitted to, got {split.count}")
    if name != "vamp":
        return lambda chosen: np.empty((0, *vae.image_shape), np.float32)
    images, _ = split.first(min(split.count, TRAINING_POSTERIORS))
    return lambda chosen: images[chosen].astype(np.float32) / np.float32(255)


def _with_prior(vae: VAE, name: str, components: int) -> VAE:
    """A copy with a new prior of that name."""
    config = {**vae.get_config(), "prior": name, "prior_components": components}
    copy = type(vae).from_config(config)
    if prior_name(copy.prior) != name:
        raise InputError(f"{type(vae).__name__} makes its own prior, so it cannot have another")
    copy.encoder.set_weights(vae.encoder.get_weights())
    copy.decoder.set_weights(vae.decoder.get_weights())
    copy.likelihood_scale.assign(vae.likelihood_scale)
    copy.encoder.trainable = copy.decoder.trainable = False
    return copy


def _batches(order: npt.NDArray[np.int64], batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(order) - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _compiled_step(
    prior: Any, learning_rate: Any, recipe: _Recipe, seed: int
) -> tuple[Callable[[Array], None], list[tf.Variable]]:
    """One step on a batch of latents, and the averaged weights that it keeps, if the recipe averages any."""
    variables = prior.trainable_variables
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=recipe.clip_norm)
    optimizer.build(variables)
    averages = [tf.Variable(variable.value) for variable in variables] if recipe.average else []
    generator = keras.random.SeedGenerator(seed)

    @tf.function(input_signature=[tf.TensorSpec((None, *prior.latent_shape), tf.float32)], autograph=False)
    def step(z: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = prior.fitting_loss(z, seed=generator)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        # Early on a long memory would hold on to the initial weights.
        count = tf.cast(optimizer.iterations, tf.float32)
        share = 1.0 - tf.minimum(recipe.average, (1.0 + count) / (10.0 + count))
        for average, variable in zip(averages, variables, strict=False):
            average.assign_sub(share * (average - variable.value))

    return step, averages


@contextlib.contextmanager
def _averaged(prior: Any, averages: list[tf.Variable]) -> Iterator[None]:
    """The prior with the averaged weights, if there are any, inside of the block."""
    if not averages:
        yield
        return
    variables = prior.trainable_variables
    current = [np.array(variable) for variable in variables]
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average)
    yield
    for variable, value in zip(variables, current, strict=True):
        variable.assign(value)


def _mean(function: Callable[[Array], Any], z: Array) -> float:
    """The mean over z of a function that gives a mean, or a value for each row, in parts of `EVALUATED` rows."""
    parts = [z[start : start + EVALUATED] for start in range(0, len(z), EVALUATED)]
    means = [float(np.asarray(function(part), "float64").mean()) for part in parts]
    return float(np.average(means, weights=[len(part) for part in parts]))
