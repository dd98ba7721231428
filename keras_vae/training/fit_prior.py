"""Fit a learned prior to the latents of a finished model, whose encoder and decoder stay as they are.

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
from keras_vae.latents import AutoregressiveCodes, CodePrior, LatentFlow, prior_name
from keras_vae.layers import Prior
from keras_vae.models import VAE
from keras_vae.training.posteriors import TRAINING_POSTERIORS, codes_of, posteriors_of
from keras_vae.training.schedules import warmup_cosine

Labels = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]

# Share of the images that decide which epoch's weights are kept.
HELD_OUT = 0.1
# Draws are evaluated in parts of this many.
EVALUATED = 2048
# An epoch takes from a tenth of a second to minutes.
SECONDS_BETWEEN_LINES = 10


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """How a kind of prior is fitted: defaults of `fit_prior`, the gradients' largest norm, the decay of averages."""

    epochs: int = 50
    batch_size: int = 512
    learning_rate: float = 2e-3
    clip_norm: float = 10.0
    average: float = 0.0


_RECIPES = {
    "latent-flow": _Recipe(epochs=10, batch_size=128, learning_rate=1e-3, clip_norm=1.0, average=0.999),
    "codes": _Recipe(epochs=10, batch_size=128, learning_rate=1e-3, clip_norm=1.0),
}


@dataclasses.dataclass(frozen=True)
class PriorFit:
    """A fitted prior in figures, for JSON.

    Args:
        prior: its name.
        num_classes: number of its labels; None if it has none.
        epochs: epochs that were made.
        best_epoch: the one whose weights are kept; 0 is the start.
        loss: the prior's ``fitting_loss`` of held-out images, of one draw each: ``-E_q[log p(z)]`` in nats; of a latent
            flow its matching loss, whose least value is above 0, since many lines cross at a point.
        loss_before: ``-E_q[log p(z)]`` of the prior that the model had, in nats; None for a latent flow, which has no
            such figure.
    """

    prior: str
    num_classes: int | None
    epochs: int
    best_epoch: int
    loss: float
    loss_before: float | None


def fit_prior(
    vae: VAE,
    split: Split,
    prior: str | Prior | CodePrior,
    *,
    components: int = 64,
    num_classes: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[VAE, PriorFit]:
    """A copy of ``vae`` with a prior that minimises its ``fitting_loss`` over training images, and its figures.

    Each epoch draws z anew from the posteriors. The weights of the epoch that is best on a tenth of the images, which
    are held out, are kept; fitting ends when the last quarter of ``epochs`` has brought nothing better.

    Args:
        vae: a model with its default bottleneck or a `Quantizer`, which is not changed: for "codes" a model of codes,
            for a latent flow one of spatial latents, for the other priors a variational one of latent vectors.
        split: its first images, at most `TRAINING_POSTERIORS`.
        prior: "vamp", "mixture", "flow", "latent-flow" or "codes"; or a new prior, with a method ``fitting_loss``.
        components: of "vamp" or "mixture".
        num_classes: makes a "latent-flow" or "codes" conditional on that many labels; a conditional model's always is.
        epochs: passes over the images, at most; by default 50, for "latent-flow" and "codes" 10.
        batch_size: images a step; by default 512, for "latent-flow" and "codes" 128.
        learning_rate: Adam's peak rate, by default 0.002, for "latent-flow" and "codes" 0.001; it warms up and falls to
            zero over ``epochs``.
        seed: seed of everything random.
        say: called with one line now and then.

    Raises:
        InputError: if the model cannot have the prior, there are fewer than 20 images, a conditional prior finds no
            labels or labels that it does not know, or the fit is not finite.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    name = prior if isinstance(prior, str) else prior_name(prior)
    recipe = _RECIPES.get(name, _Recipe())
    _check(vae, split, prior, num_classes)
    fitted = _with_prior(vae, prior, components, num_classes)
    fitting: Any = fitted.prior
    draws, labels = _latents(vae, split, fitting, rng)
    order = rng.permutation(len(labels))
    held_out, training = np.split(order, [max(1, round(HELD_OUT * len(order)))])
    validation = draws(held_out), labels[held_out]
    before = None if isinstance(fitting, LatentFlow) else _mean(lambda z, _: -vae.prior.log_prob(z), validation)
    if hasattr(fitting, "start_from"):
        chosen = training[: max(components, EVALUATED)]
        images = _images(split, chosen[:components]) if name == "vamp" else None
        fitting.start_from(images, draws(chosen))

    epochs = epochs or recipe.epochs
    batch_size = min(batch_size or recipe.batch_size, len(training))
    rate = warmup_cosine(learning_rate or recipe.learning_rate, 0.05, epochs * (len(training) // batch_size))
    step, loss_of, averages = _compiled(fitting, validation, rate, recipe, seed)

    best = (_mean(loss_of, validation), 0, fitting.get_weights())
    epoch, said = 0, time.monotonic()
    for epoch in range(1, epochs + 1):
        for batch in _batches(rng.permutation(training), batch_size):
            step(draws(batch), labels[batch])
        with _averaged(fitting, averages):
            loss = _mean(loss_of, validation)
            if loss < best[0]:
                best = (loss, epoch, fitting.get_weights())
        if say and (time.monotonic() - said > SECONDS_BETWEEN_LINES or epoch == epochs):
            said = time.monotonic()
            say(f"epoch {epoch}: loss {loss:.4f} on held-out images, best {best[0]:.4f} in epoch {best[1]}")
        if epoch - best[1] >= max(5, epochs // 4):
            break
    least, best_epoch, weights = best
    if not np.isfinite(least):
        raise InputError(f"the prior {name} diverged; try a smaller --learning-rate")
    fitting.set_weights(weights)
    return fitted, PriorFit(name, fitting.num_classes, epoch, best_epoch, least, before)


def _check(vae: VAE, split: Split, prior: str | Prior | CodePrior, num_classes: int | None) -> None:
    has_codes = vae.bottleneck.code_shape is not None
    if vae.get_config()["bottleneck"] is not None and not has_codes:
        raise InputError(f"the model has a {type(vae.bottleneck).__name__} of its own; give that its prior")
    if isinstance(prior, str):
        if (prior == "codes") != has_codes:
            raise InputError(
                f"prior {prior} is none of codes; the model has codes, so choose codes"
                if has_codes
                else "prior codes is one of codes, which the model has not; train with --bottleneck vq or fsq"
            )
        if num_classes is not None and prior not in ("latent-flow", "codes"):
            raise InputError(f"prior {prior} has no labels; only latent-flow and codes can be conditional")
        if not has_codes:
            check_prior(
                prior,
                latent_shape=vae.latent_shape if len(vae.latent_shape) == 3 else None,
                num_classes=vae.num_classes,
                variational=vae.variational,
            )
    if split.count < 20:
        raise InputError(f"a prior needs at least 20 training images to be fitted to, got {split.count}")


def _with_prior(vae: VAE, prior: str | Prior | CodePrior, components: int, num_classes: int | None) -> VAE:
    """A copy with a new prior."""
    num_classes = vae.num_classes or num_classes
    bottleneck = vae.bottleneck
    if prior == "codes":
        assert bottleneck.code_shape is not None
        prior = AutoregressiveCodes(
            bottleneck.codebook_size, bottleneck.code_shape, num_classes=num_classes, name="prior"
        )
    elif prior == "latent-flow":
        prior = LatentFlow(vae.latent_shape, num_classes=num_classes, name="prior")
    config = {**vae.get_config(), "prior_components": components}
    serialized = keras.saving.serialize_keras_object(prior)
    if bottleneck.code_shape is None:
        config["prior"] = serialized
    else:
        config["bottleneck"]["config"]["prior"] = serialized
    copy = type(vae).from_config(config)
    if prior_name(copy.prior) != (prior if isinstance(prior, str) else prior_name(prior)):
        raise InputError(f"{type(vae).__name__} makes its own prior, so it cannot have another")
    for weight, value in zip(_fixed_weights(copy), _fixed_weights(vae), strict=True):
        weight.assign(value)
    copy.encoder.trainable = copy.decoder.trainable = False
    return copy


def _fixed_weights(vae: VAE) -> list[Any]:
    """All weights but those that are the prior's alone: a VampPrior has the encoder's too."""
    shared = {id(weight) for weight in (*vae.encoder.weights, *vae.decoder.weights)}
    of_prior = {id(weight) for weight in vae.prior.weights} - shared
    return [weight for weight in vae.weights if id(weight) not in of_prior]


def _latents(
    vae: VAE, split: Split, prior: Any, rng: np.random.Generator
) -> tuple[Callable[[Numbers], npt.NDArray[Any]], Labels]:
    """A function that draws the latents of images with these numbers, and all labels; zeros if the prior has none."""
    if vae.bottleneck.code_shape is not None:
        codes, labels = codes_of(vae, split, TRAINING_POSTERIORS)
        return lambda chosen: codes[chosen], _checked_labels(labels, len(codes), prior.num_classes)
    means, log_vars, labels = posteriors_of(vae, split, TRAINING_POSTERIORS)

    def draws(chosen: Numbers) -> npt.NDArray[np.float32]:
        z = means[chosen]
        if vae.variational:
            z = z + np.exp(0.5 * log_vars[chosen]) * rng.standard_normal(z.shape, np.float32)
        return z.reshape(-1, *vae.latent_shape)

    return draws, _checked_labels(labels, len(means), prior.num_classes)


def _checked_labels(labels: Labels | None, count: int, num_classes: int | None) -> Labels:
    if num_classes is None:
        return np.zeros(count, np.int32)
    if labels is None:
        raise InputError("a conditional prior needs images with labels")
    if labels.max() >= num_classes:
        raise InputError(f"a prior of {num_classes} classes needs labels below that, got {labels.max()}")
    # Withheld labels are negative; a prior has the label num_classes for none.
    return np.where(labels < 0, num_classes, labels).astype(np.int32)


def _images(split: Split, chosen: Numbers) -> npt.NDArray[np.float32]:
    images, _ = split.first(min(split.count, TRAINING_POSTERIORS))
    return images[chosen].astype(np.float32) / np.float32(255)


def _batches(order: Numbers, batch_size: int) -> Iterator[Numbers]:
    for start in range(0, len(order) - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _compiled(
    prior: Any, example: tuple[npt.NDArray[Any], Labels], learning_rate: Any, recipe: _Recipe, seed: int
) -> tuple[Callable[[Any, Labels], None], Callable[[Any, Labels], Any], list[tf.Variable]]:
    """A step on a batch like the example, the loss of such, and the averaged weights if the recipe averages any."""
    variables = prior.trainable_variables
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=recipe.clip_norm)
    optimizer.build(variables)
    averages = [tf.Variable(variable.value) for variable in variables] if recipe.average else []
    generator = keras.random.SeedGenerator(seed)
    compiled = tf.function(
        input_signature=[tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in example], autograph=False
    )

    @compiled
    def step(z: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = prior.fitting_loss(z, labels, seed=generator)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        # Those of tables are sparse, which Keras's clipping does not know.
        optimizer.apply([tf.convert_to_tensor(gradient) for gradient in gradients], variables)
        # Early on a long memory would hold on to the initial weights.
        count = tf.cast(optimizer.iterations, tf.float32)
        share = 1.0 - tf.minimum(recipe.average, (1.0 + count) / (10.0 + count))
        for average, variable in zip(averages, variables, strict=False):
            average.assign_sub(share * (average - variable.value))

    @compiled
    def loss_of(z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        # The same noise each time, where a loss draws any.
        return prior.fitting_loss(z, labels, seed=seed)

    return step, loss_of, averages


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


def _mean(function: Callable[[Any, Labels], Any], arrays: tuple[npt.NDArray[Any], Labels]) -> float:
    """The mean over rows of a function that gives a mean, or a value for each row, in parts of `EVALUATED` rows."""
    parts = [
        tuple(array[start : start + EVALUATED] for array in arrays) for start in range(0, len(arrays[1]), EVALUATED)
    ]
    means = [float(np.asarray(function(*part), "float64").mean()) for part in parts]
    return float(np.average(means, weights=[len(part[1]) for part in parts]))
