"""Reparameterised sampling from a diagonal Gaussian posterior."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class GaussianSampling(keras.layers.Layer):
    """Draw ``z = mean + exp(log_var / 2) · ε`` with ``ε ~ N(0, I)``.

    Inputs ``mean`` and ``log_var``, both (N, ..., L); output ``z`` with the same shape, float32 unless ``dtype`` says
    otherwise. The gradient flows through ``mean`` and ``log_var``. Every call draws new noise, unless ``epsilon`` is
    given.

    Args:
        seed: seed of the layer's own generator; None draws one from Keras's global seed.

    Reference: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", section 2.4.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, mean_shape: Any, log_var_shape: Any, epsilon_shape: Any = None) -> None:
        """Add nothing: there are no weights."""

    def noise(self, shape: tuple[Any, ...]) -> Any:
        """Draws from N(0, 1), as in ``call``."""
        return keras.random.normal(shape, dtype=self.compute_dtype, seed=self.seed_generator)

    def call(self, mean: Any, log_var: Any, epsilon: Any = None) -> Any:
        if epsilon is None:
            epsilon = self.noise(ops.shape(mean))
        return mean + ops.exp(0.5 * log_var) * epsilon

    def compute_output_shape(self, mean_shape: Any, log_var_shape: Any, epsilon_shape: Any = None) -> Any:
        return mean_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
