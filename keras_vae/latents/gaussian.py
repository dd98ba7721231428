"""Bottlenecks of continuous latents: a diagonal Gaussian posterior, and none."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.latents.bottleneck import Bottleneck, Latents
from keras_vae.layers import GaussianSampling, Prior, StandardNormal
from keras_vae.layers.prior import kl_per_dimension


class _Continuous(Bottleneck):
    """Base of both: a mean and a log-variance, and a prior over real vectors, by default N(0, I)."""

    heads = ("mean", "log_var")

    def build(self, mean_shape: Any, log_var_shape: Any) -> None:
        super().build(mean_shape)
        if self.prior is None:
            self.prior = StandardNormal(self.latent_shape, name="prior")
        if not self.prior.built:
            self.prior.build(mean_shape)

    def posterior(self, mean: Any, log_var: Any) -> tuple[Any, Any]:
        return mean, log_var

    def sample(self, count: int, seed: Any = None, labels: Any = None) -> Any:
        return self._prior_draws(count, seed, labels)


@keras.saving.register_keras_serializable(package="keras_vae")
class GaussianBottleneck(_Continuous):
    """``z = mean + exp(log_var / 2) · ε``, punished by the KL of N(mean, exp(log_var)) to the prior.

    Args:
        prior: p(z); None is N(0, I), whose KL has a closed form. Others are estimated from the z that was drawn.
        seed: seed of the noise; None draws one from Keras's global seed.

    Reference: Kingma & Welling 2014, "Auto-Encoding Variational Bayes".
    """

    is_stochastic = True

    def __init__(self, prior: Prior | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(prior, **kwargs)
        self.seed = seed
        self.sampling = GaussianSampling(seed, name="sampling")

    def build(self, mean_shape: Any, log_var_shape: Any) -> None:
        super().build(mean_shape, log_var_shape)
        self.sampling.build(mean_shape, log_var_shape)

    def call(self, mean: Any, log_var: Any, epsilon: Any = None) -> Latents:
        assert self.prior is not None
        z = self.sampling(mean, log_var, epsilon)
        if not isinstance(self.prior, StandardNormal):
            return Latents(z=z, kl=self.prior.kl(mean, log_var, z))
        per_dimension = kl_per_dimension(mean, log_var)
        kl = ops.sum(per_dimension, axis=tuple(range(1, len(per_dimension.shape))))
        return Latents(z=z, kl=kl, kl_per_dimension=per_dimension)

    def log_ratio(self, mean: Any, log_var: Any, z: Any) -> Any:
        # The estimate of any prior's KL, also where the KL has a closed form.
        return Prior.kl(self.prior, mean, log_var, z)

    def noise(self, shape: tuple[Any, ...]) -> Any:
        return self.sampling.noise(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_vae")
class PointBottleneck(_Continuous):
    """``z = mean``, without a KL: the bottleneck of a plain autoencoder, which does nothing.

    The log-variance is ignored. It keeps a place, so that the autoencoder has the weights of the VAE beside it.
    """

    def call(self, mean: Any, log_var: Any) -> Latents:
        return Latents(z=mean, kl=ops.zeros(ops.shape(mean)[:1]))
