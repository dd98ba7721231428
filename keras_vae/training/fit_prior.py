"""Fit a learned prior to the posteriors of a finished model, whose encoder and decoder stay as they are.

The prior then stands for the aggregate posterior, which the ELBO's optimal prior is (Tomczak & Welling 2018, eq. 7).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.config import check_prior
from keras_vae.data import Split
from keras_vae.errors import InputError
from keras_vae.latents import VectorPrior, prior_name
from keras_vae.models import VAE
from keras_vae.training.posteriors import TRAINING_POSTERIORS, posteriors_of
from keras_vae.training.schedules import warmup_cosine

Array = npt.NDArray[np.float32]

# Share of the images that decide which epoch's weights are kept.
HELD_OUT = 0.1
# Draws are evaluated in parts of this many.
EVALUATED = 2048


@dataclasses.dataclass(frozen=True)
class PriorFit:
    """A fitted prior in figures, for JSON. Log-densities are means over held-out images, of one draw each, in nats.

    Args:
        prior: its name.
        epochs: epochs that were made.
        best_epoch: the one whose weights are kept; 0 is the start.
        log_prob: ``E_q[log p(z)]`` of the fitted prior.
        log_prob_before: the same of the prior that the model had.
    """

    prior: str
    epochs: int
    best_epoch: int
    log_prob: float
    log_prob_before: float


def fit_prior(
    vae: VAE,
    split: Split,
    name: str,
    *,
    components: int = 64,
    epochs: int = 50,
    batch_size: int = 512,
    learning_rate: float = 2e-3,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> tuple[VAE, PriorFit]:
    """A copy of ``vae`` with a prior that maximises ``E_q[log p(z)]`` over training images, and its figures.

    Each epoch draws z anew from the posteriors. The weights of the epoch that is best on a tenth of the images, which
    are held out, are kept; fitting ends when the last quarter of ``epochs`` has brought nothing better.

    Args:
        vae: a variational model of latent vectors with its default bottleneck; it is not changed.
        split: its first images, at most `TRAINING_POSTERIORS`.
        name: "vamp", "mixture" or "flow".
        components: of "vamp" or "mixture".
        epochs: passes over the images, at most.
        batch_size: images a step.
        learning_rate: Adam's peak rate; it warms up and falls to zero over ``epochs``.
        seed: seed of everything random.
        say: called with one line now and then.

    Raises:
        InputError: if the model cannot have the prior, there are fewer than 20 images, or the fit is not finite.
    """
    images_of = check_fit(vae, split, name)
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    fitted = with_prior(vae, name, components)
    prior: VectorPrior = fitted.prior
    means, log_vars, _ = posteriors_of(vae, split, TRAINING_POSTERIORS)
    order = rng.permutation(len(means))
    held_out, training = np.split(order, [max(1, round(HELD_OUT * len(means)))])

    def draws(chosen: npt.NDArray[np.int64]) -> Array:
        noise = rng.standard_normal((len(chosen), vae.latent_dim), np.float32)
        return means[chosen] + np.exp(0.5 * log_vars[chosen]) * noise

    validation = draws(held_out)
    before = _mean_log_prob(vae.prior, validation)
    chosen = training[: max(components, EVALUATED)]
    prior.start_from(images_of(chosen[:components]), draws(chosen))

    batch_size = min(batch_size, len(training))
    step = _compiled_step(prior, warmup_cosine(learning_rate, 0.05, epochs * (len(training) // batch_size)))
    best = (_mean_log_prob(prior, validation), 0, prior.get_weights())
    epoch = 0
    for epoch in range(1, epochs + 1):
        for batch in batches_of(rng.permutation(training), batch_size):
            step(draws(batch))
        score = _mean_log_prob(prior, validation)
        if score > best[0]:
            best = (score, epoch, prior.get_weights())
        if say and (epoch % 10 == 0 or epoch == epochs):
            say(f"epoch {epoch}: log p(z) {score:.3f} nats on held-out images, best {best[0]:.3f} in epoch {best[1]}")
        if epoch - best[1] >= max(5, epochs // 4):
            break
    log_prob, best_epoch, weights = best
    if not np.isfinite(log_prob):
        raise InputError(f"the prior {name} diverged; try a smaller --learning-rate")
    prior.set_weights(weights)
    return fitted, PriorFit(name, epoch, best_epoch, log_prob, before)


def check_fit(vae: VAE, split: Split, name: str) -> Callable[[npt.NDArray[np.int64]], Array]:
    """Check the arguments; returns a function that reads training images by their numbers.

    Raises:
        InputError: as `fit_prior`.
    """
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


def with_prior(vae: VAE, name: str, components: int) -> VAE:
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


def batches_of(order: npt.NDArray[np.int64], batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    for start in range(0, len(order) - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _compiled_step(prior: VectorPrior, learning_rate: Any) -> Callable[[Array], Any]:
    optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=10.0)
    optimizer.build(prior.trainable_variables)

    @tf.function(input_signature=[tf.TensorSpec((None, prior.latent_dim), tf.float32)], autograph=False)
    def step(z: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.log_prob(z))
        gradients = tape.gradient(loss, [variable.value for variable in prior.trainable_variables])
        optimizer.apply(gradients, prior.trainable_variables)
        return loss

    return step


def _mean_log_prob(prior: Any, z: Array) -> float:
    parts = [np.asarray(prior.log_prob(z[start : start + EVALUATED])) for start in range(0, len(z), EVALUATED)]
    return float(np.concatenate(parts).mean(dtype="float64"))
