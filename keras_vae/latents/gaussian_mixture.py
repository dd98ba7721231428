"""Density and draws of a mixture of diagonal Gaussians, of which two priors are made."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_vae.layers.prior import LOG_TWO_PI


def mixture_log_prob(z: Any, log_weights: Any, means: Any, log_vars: Any) -> Any:
    """``log Σ_k w_k N(z; mean_k, exp(log_var_k))``: (N,) nats.

    Args:
        z: (N, L).
        log_weights: (K,), whose exponentials have the sum 1.
        means, log_vars: (K, L).
    """
    z = ops.convert_to_tensor(z, "float32")
    distances = ops.square(z[:, None] - means) * ops.exp(-log_vars)
    log_densities = -0.5 * ops.sum(distances + log_vars + LOG_TWO_PI, axis=-1)
    return ops.logsumexp(log_weights + log_densities, axis=1)


def mixture_draw(noise: Any, log_weights: Any, means: Any, log_vars: Any) -> Any:
    """Draws (N, L) of the mixture, made of standard normal noise (N, L + 1), whose last column picks the component."""
    within, between = noise[:, :-1], noise[:, -1]
    uniform = 0.5 * (1.0 + ops.erf(between / 2**0.5))
    # The last component takes the rest, since rounding may leave a sum below 1.
    ends = ops.cumsum(ops.exp(log_weights))[:-1]
    chosen = ops.sum(ops.cast(uniform[:, None] >= ends, "int32"), axis=1)
    return ops.take(means, chosen, axis=0) + ops.exp(0.5 * ops.take(log_vars, chosen, axis=0)) * within
