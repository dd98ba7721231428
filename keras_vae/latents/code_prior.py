"""Priors over codes: the uniform one, and the base of your own."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


class CodePrior(keras.layers.Layer):
    """Base of priors p(codes). A subclass defines `log_prob` and `sample`, and may have weights, which are trained.

    `log_prob` is differentiable in the weights: ``-log_prob`` of the training images' codes is what fits them. A
    subclass makes its weights in the constructor or in `build`, which gets the codes' shape.

    Args:
        codebook_size: the number K of different codes; each code is in [0, K).
        code_shape: the shape of an image's codes: (h, w), (h, w, g), or (g,) for a latent vector.
    """

    def __init__(self, codebook_size: int, code_shape: tuple[int, ...], **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.codebook_size = codebook_size
        self.code_shape = tuple(code_shape)

    def build(self, codes_shape: Any) -> None:
        """Add nothing."""

    def log_prob(self, codes: Any) -> Any:
        """``log p(codes)`` of int32 codes (N, *code_shape): (N,) nats, float32.

        A prior that cannot compute it gives a lower bound, so that the KL is an upper one.
        """
        raise NotImplementedError

    def sample(self, count: int, seed: Any = None) -> Any:
        """``count`` draws, int32 (count, *code_shape); the same for the same seed (as `keras.random` takes it)."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "codebook_size": self.codebook_size, "code_shape": self.code_shape}


@keras.saving.register_keras_serializable(package="keras_vae")
class UniformCodes(CodePrior):
    """All codes are equally likely and independent: ``-log p(codes)`` is the number of codes times ``log K``.

    Reference: van den Oord et al. 2017, "Neural Discrete Representation Learning", section 3.1.
    """

    def log_prob(self, codes: Any) -> Any:
        return ops.full(ops.shape(codes)[:1], -math.prod(self.code_shape) * math.log(self.codebook_size), "float32")

    def sample(self, count: int, seed: Any = None) -> Any:
        return keras.random.randint((count, *self.code_shape), 0, self.codebook_size, dtype="int32", seed=seed)
