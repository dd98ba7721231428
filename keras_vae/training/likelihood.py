"""``-log p(x)`` by importance sampling with the posterior as the proposal.

Burda et al. 2016, "Importance Weighted Autoencoders" (IWAE).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.prior import LOG_TWO_PI
from keras_vae.losses import likelihood_nll
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time


def nll_per_image(vae: VAE, images: Any, reconstructions: Any) -> Any:
    """``-log p(x | z)`` under the model's likelihood and its scale: (N,) nats, float32."""
    return likelihood_nll(vae.likelihood, images, reconstructions, vae.likelihood_scale)


def importance_sampled_nll(
    vae: VAE,
    images: npt.NDArray[Any],
    samples: int,
    *,
    labels: npt.NDArray[np.int32] | None = None,
    batch_size: int | None = None,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """``-log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x)`` with ``z_k ~ q(z|x)``, for every image: (N,) nats, float64.

    Its expectation is an upper bound of ``-log p(x)``: the negative ELBO at K = 1, and a tighter bound as K grows.

    Args:
        vae: a variational model.
        images: (N, H, W, C), float in [0, 1], or uint8, as in-memory splits hold them.
        samples: K, at least 1.
        labels: (N,), for a conditional model.
        batch_size: number of z decoded at a time, by default `images_at_a_time`; it does not change the draws.
        seed: seed of the draws.

    Raises:
        InputError: if the model is not variational, or ``samples`` or ``batch_size`` is below 1.

    Reference: Burda et al. 2016, eq. 8.
    """
    if not vae.variational:
        raise InputError("importance sampling draws from the posterior; this autoencoder is not variational")
    batch_size = images_at_a_time(images.shape[1:]) if batch_size is None else batch_size
    if samples < 1 or batch_size < 1:
        raise InputError(f"samples and batch-size must be at least 1, got {samples} and {batch_size}")
    means, log_vars = _encode(vae, images, labels, batch_size)
    log_weights = _compiled_log_weights(vae, images.shape[1:], is_conditional=labels is not None)
    rng = np.random.default_rng(seed)
    totals = np.full(len(images), -np.inf)
    # The draws go image by image, K each, and are cut into batches anywhere. So each draw keeps its place in the
    # generator's sequence whatever the batch size, and no more than one batch is decoded at a time.
    for start in range(0, len(images) * samples, batch_size):
        owners = np.arange(start, min(start + batch_size, len(images) * samples)) // samples
        noise = rng.standard_normal((len(owners), means.shape[1]), np.float32)
        drawn: list[npt.NDArray[Any]] = [_to_float(images[owners]), means[owners], log_vars[owners], noise]
        drawn += [] if labels is None else [labels[owners]]
        np.logaddexp.at(totals, owners, np.asarray(log_weights(*drawn), np.float64))
    return np.log(samples) - totals


def _encode(
    vae: VAE, images: npt.NDArray[Any], labels: npt.NDArray[np.int32] | None, batch_size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    posteriors = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        posteriors.append(vae.encode_flat(_to_float(images[part]), None if labels is None else labels[part]))
    means, log_vars = (np.concatenate(parameters) for parameters in zip(*posteriors, strict=True))
    return means, log_vars


def _compiled_log_weights(vae: VAE, image_shape: tuple[int, ...], *, is_conditional: bool) -> Any:
    """``log p(x|z) + log p(z) - log q(z|x)`` of ``z = mean + exp(log_var / 2) ε``, one per row: (B,) nats."""
    latents = tf.TensorSpec((None, vae.latent_dim), tf.float32)
    signature = [tf.TensorSpec((None, *image_shape), tf.float32), latents, latents, latents]
    signature += [tf.TensorSpec((None,), tf.int32)] if is_conditional else []

    @tf.function(input_signature=signature, autograph=False)
    def log_weights(images: Any, mean: Any, log_var: Any, noise: Any, labels: Any = None) -> Any:
        z = mean + ops.exp(0.5 * log_var) * noise
        log_posterior = -0.5 * ops.sum(ops.square(noise) + log_var + LOG_TWO_PI, axis=1)
        log_prior = vae.prior.log_prob(ops.reshape(z, (-1, *vae.latent_shape)))
        return log_prior - log_posterior - nll_per_image(vae, images, vae.decode(z, labels))

    return log_weights


def _to_float(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)
