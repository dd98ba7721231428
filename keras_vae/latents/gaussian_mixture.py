"""The base of priors that are mixtures of diagonal Gaussians."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_vae.latents.vector_prior import VectorPrior
from keras_vae.layers.prior import LOG_TWO_PI, normal_cdf


class GaussianMixture(VectorPrior):
    """``p(z) = Σ_k w_k N(mean_k, exp(log_var_k))``. A subclass says what the `parameters` are.

    Args:
        latent_shape: (L,).
        components: K.
        seed: seed of what is random at the start; None draws one from Keras's global seed.

    Raises:
        InputError: if the latent is spatial.
        ValueError: if ``components`` is below 1.
    """

    def __init__(
        self, latent_shape: tuple[int, ...], components: int = 64, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(latent_shape, **kwargs)
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        self.components = components
        self.seed = seed

    def parameters(self) -> tuple[Any, Any, Any]:
        """``(log_weights, means, log_vars)``: (K,), whose exponentials have the sum 1, (K, L) and (K, L)."""
        raise NotImplementedError

    def log_prob(self, z: Any) -> Any:
        log_weights, means, log_vars = self.parameters()
        z = ops.convert_to_tensor(z, "float32")
        distances = ops.square(z[:, None] - means) * ops.exp(-log_vars)
        log_densities = -0.5 * ops.sum(distances + log_vars + LOG_TWO_PI, axis=-1)
        return ops.logsumexp(log_weights + log_densities, axis=1)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(L + 1,): the last number picks the component."""
        return (self.latent_dim + 1,)

    def draw(self, noise: Any) -> Any:
        log_weights, means, log_vars = self.parameters()
        within, between = noise[:, :-1], noise[:, -1]
        # The last component takes the rest, since rounding may leave a sum below 1.
        ends = ops.cumsum(ops.exp(log_weights))[:-1]
        chosen = ops.sum(ops.cast(normal_cdf(between)[:, None] >= ends, "int32"), axis=1)
        return ops.take(means, chosen, axis=0) + ops.exp(0.5 * ops.take(log_vars, chosen, axis=0)) * within

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "components": self.components, "seed": self.seed}
