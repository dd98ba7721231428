"""Priors of the latent: the standard normal distribution, and the base of your own."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

LOG_TWO_PI = math.log(2.0 * math.pi)
# Draws of a network can take a megabyte each.
DRAWN_AT_ONCE = 500


class Prior(keras.layers.Layer):
    """Base of priors p(z). A subclass defines `log_prob` and `draw`, and may have weights, which are trained.

    Draws are a function of standard normal noise, so that an exported model repeats them with noise of its own. A prior
    that cannot be drawn from in this way defines `sample` instead of `draw`; models with it are not exported. If it has
    ``num_classes``, its `draw` also takes labels, int32 (N,), or None for draws of all classes.

    Args:
        latent_shape: (L,) for a latent vector, (h, w, c) for a spatial latent.
    """

    has_density = True
    """Whether `log_prob` is known. If it is not, only draws are."""
    num_classes: int | None = None
    """Number of labels of a prior that can be drawn from by class."""

    def __init__(self, latent_shape: tuple[int, ...], **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.latent_shape = tuple(latent_shape)

    def build(self, z_shape: Any) -> None:
        """Add nothing. A subclass makes its weights in the constructor or here."""

    def compute_output_shape(self, z_shape: Any) -> Any:
        """The shape of draws from the prior."""
        return (z_shape[0], *self.latent_shape)

    def log_prob(self, z: Any) -> Any:
        """``log p(z)`` for latents (N, *latent_shape): (N,) nats, float32."""
        raise NotImplementedError

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise for one draw, by default that of the latent."""
        return self.latent_shape

    def draw(self, noise: Any) -> Any:
        """Draws from the prior, float32 (N, *latent_shape), made of draws from N(0, I), float32 (N, *noise_shape)."""
        raise NotImplementedError

    def sample(self, count: int, seed: Any = None, labels: Any = None) -> Any:
        """``count`` draws, (count, *latent_shape) float32; the same for the same seed (as `keras.random` takes it).

        A prior with ``num_classes`` takes labels (count,), and draws of these classes.
        """
        return sample_of(self, count, seed, labels)

    def kl(self, mean: Any, log_var: Any, z: Any) -> Any:
        """KL of posteriors to the prior, (N,) nats: the unbiased estimate ``log q(z|x) - log p(z)`` at their draws z.

        All arguments are (N, *latent_shape), float32.
        """
        noise = ops.square(z - mean) * ops.exp(-log_var)
        log_posterior = -0.5 * _sum_per_row(noise + log_var + LOG_TWO_PI)
        return log_posterior - self.log_prob(z)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latent_shape": self.latent_shape}


@keras.saving.register_keras_serializable(package="keras_vae")
class StandardNormal(Prior):
    """``p(z) = N(0, I)``, whose KL has a closed form.

    Reference: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", appendix B.
    """

    def log_prob(self, z: Any) -> Any:
        return -0.5 * _sum_per_row(ops.square(z) + LOG_TWO_PI)

    def draw(self, noise: Any) -> Any:
        return noise

    def kl(self, mean: Any, log_var: Any, z: Any = None) -> Any:
        """`kl_divergence`, which does not need z."""
        return kl_divergence(mean, log_var)


def sample_of(prior: Any, count: int, seed: Any, labels: Any) -> Any:
    """``count`` draws of a prior that makes them of noise, in parts of `DRAWN_AT_ONCE`."""
    noise = keras.random.normal((count, *prior.noise_shape), dtype="float32", seed=seed)
    draws = []
    for start in range(0, max(count, 1), DRAWN_AT_ONCE):
        part = slice(start, start + DRAWN_AT_ONCE)
        of_class = () if prior.num_classes is None else (None if labels is None else labels[part],)
        draws.append(prior.draw(noise[part], *of_class))
    return ops.concatenate(draws, axis=0) if len(draws) > 1 else draws[0]


def normal_cdf(noise: Any) -> Any:
    """The distribution function of N(0, 1), in [0, 1]: it makes uniform numbers of normal ones."""
    return 0.5 * (1.0 + ops.erf(noise / math.sqrt(2.0)))


def kl_per_dimension(mean: Any, log_var: Any) -> Any:
    """KL(N(mean, exp(log_var)) ‖ N(0, 1)) for every latent dimension, in nats.

    ``½ (mean² + exp(log_var) - 1 - log_var)``: appendix B of Kingma & Welling 2014. Same shape as ``mean``,
    float32.
    """
    mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
    # expm1 keeps the digits that exp(log_var) - 1 loses near the prior.
    return 0.5 * (ops.square(mean) + ops.expm1(log_var) - log_var)


def kl_divergence(mean: Any, log_var: Any) -> Any:
    """KL of a diagonal Gaussian posterior to N(0, I): the sum over all latent axes. (N,) nats, float32."""
    return _sum_per_row(kl_per_dimension(mean, log_var))


def _sum_per_row(values: Any) -> Any:
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))
