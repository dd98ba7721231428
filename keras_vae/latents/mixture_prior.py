"""A learned mixture of Gaussians as the prior."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.latents.gaussian_mixture import GaussianMixture
from keras_vae.latents.vector_prior import bounded

# Standard deviations stay between exp(-4) and exp(4), so that no component shrinks to a point.
LOG_VAR_BOUND = 8.0
# The means' part of the variance at the start. With the components' own it is 1 in each dimension, as of N(0, 1).
SPREAD = 0.25


@keras.saving.register_keras_serializable(package="keras_vae")
class MixturePrior(GaussianMixture):
    """``p(z) = Σ_k w_k N(mean_k, exp(log_var_k))`` with trainable weights, means and diagonal covariances.

    At the start the means are random, so that the components differ, and the mixture has about the mean and the
    variance of N(0, I).

    Args:
        latent_shape: (L,).
        components: K.
        seed: seed of the first means; None draws one from Keras's global seed.

    Raises:
        InputError: if the latent is spatial.
        ValueError: if ``components`` is below 1.
    """

    def __init__(
        self, latent_shape: tuple[int, ...], components: int = 64, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(latent_shape, components, seed, **kwargs)
        table = (components, self.latent_dim)
        self.logits = self.add_table((components,), "logits")
        self.means = self.add_table(table, "means", keras.initializers.RandomNormal(stddev=SPREAD**0.5, seed=seed))
        log_var = LOG_VAR_BOUND * math.atanh(math.log(1.0 - SPREAD) / LOG_VAR_BOUND)
        self.raw_log_vars = self.add_table(table, "raw_log_vars", keras.initializers.Constant(log_var))

    def parameters(self) -> tuple[Any, Any, Any]:
        return ops.log_softmax(self.logits), self.means.value, bounded(self.raw_log_vars, LOG_VAR_BOUND)

    def start_from(self, images: Any, z: Any) -> None:
        """Put the means on the first draws, repeated if there are fewer than components."""
        z = ops.convert_to_numpy(z)
        self.means.assign(z[[component % len(z) for component in range(self.components)]])
