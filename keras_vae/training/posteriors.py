"""The posteriors of a split's images, and the density fitted to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.data import Split, evaluation_batches
from keras_vae.models import VAE, GaussianMixtureSampler
from keras_vae.models.batches import images_at_a_time
from keras_vae.models.samplers import COMPONENTS

Array = npt.NDArray[np.float32]

# This many images stand for a larger training split: as many as MNIST has, 15 s on two CPU cores.
TRAINING_POSTERIORS = 60_000
# Spatial latents are large, so no more than this many numbers are kept: half a gigabyte.
MOST_NUMBERS = 1 << 27
# Images from which a spatial latent's standard deviation is measured.
SCALED_IMAGES = 2048


def posterior_draws(
    vae: VAE, split: Split, limit: int = TRAINING_POSTERIORS, batch_size: int | None = None, seed: int = 0
) -> tuple[Array, Array, npt.NDArray[np.int32] | None]:
    """Means, one draw ``z ~ q(z|x)`` per image (the mean again for a plain autoencoder), and labels, if there are any.

    Args:
        vae: the model; a conditional one needs a split with labels.
        split: its first images are encoded.
        limit: number of images to encode, at most.
        batch_size: images encoded at a time, by default `images_at_a_time`; it does not change the draws.
        seed: seed of the draws.

    Returns:
        float32 (N, latent_dim), float32 (N, latent_dim), int32 (N,) or None.
    """
    means, log_vars, labels = posteriors_of(vae, split, limit, batch_size)
    draws = means
    if vae.variational:
        noise = np.random.default_rng(seed).standard_normal(means.shape, np.float32)
        draws = means + np.exp(0.5 * log_vars) * noise
    return means, draws, labels


def posteriors_of(
    vae: VAE, split: Split, limit: int, batch_size: int | None = None
) -> tuple[Array, Array, npt.NDArray[np.int32] | None]:
    """Means and log-variances, each float32 (N, latent_dim), and labels; the arguments are `posterior_draws`'s."""
    batch_size = images_at_a_time(vae.image_shape) if batch_size is None else batch_size
    limit = min(limit, max(1, MOST_NUMBERS // vae.latent_dim))
    batches = tuple_batches(split, batch_size).take(-(-limit // batch_size))

    @tf.function(input_signature=batches.element_spec, autograph=False)
    def encode(images: tf.Tensor, labels: tf.Tensor | None = None) -> Any:
        return vae.encode_flat(images, labels)

    parts = [[*encode(*batch), *batch[1:]] for batch in batches]
    means, log_vars, *labels = (np.concatenate(arrays)[:limit] for arrays in zip(*parts, strict=True))
    return means, log_vars, labels[0] if labels else None


def codes_of(
    vae: VAE, split: Split, limit: int, batch_size: int | None = None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32] | None]:
    """Codes int32 (N, *code_shape), and labels, of a model of codes; the arguments are `posterior_draws`'s."""
    batch_size = images_at_a_time(vae.image_shape) if batch_size is None else batch_size
    batches = tuple_batches(split, batch_size).take(-(-limit // batch_size))
    encode = tf.function(vae.encode_codes, input_signature=batches.element_spec, autograph=False)
    parts = [[encode(*batch), *batch[1:]] for batch in batches]
    codes, *labels = (np.concatenate(arrays)[:limit] for arrays in zip(*parts, strict=True))
    return codes, labels[0] if labels else None


def fit_mixture(vae: VAE, split: Split, components: int = COMPONENTS, seed: int = 0) -> GaussianMixtureSampler:
    """A Gaussian mixture over the latents of the first `TRAINING_POSTERIORS` images of ``split``.

    Raises:
        InputError: if there are fewer images than components.
    """
    _, draws, _ = posterior_draws(vae, split, TRAINING_POSTERIORS, seed=seed)
    return GaussianMixtureSampler.fit(draws, components, seed)


def measure_scaling_factor(vae: VAE, split: Split, seed: int = 0) -> None:
    """Set a spatial latent's ``scaling_factor`` to one over the standard deviation of the first images' latents.

    Reference: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", section G.
    """
    if vae.scaling_factor is None:
        return
    _, draws, _ = posterior_draws(vae, split, SCALED_IMAGES, seed=seed)
    vae.scaling_factor.assign(1.0 / max(float(draws.std()), 1e-6))


def tuple_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """`evaluation_batches` as tuples: ``(images, labels)``, or ``(images,)`` without labels."""
    return evaluation_batches(split, batch_size).map(lambda *batch: batch)
