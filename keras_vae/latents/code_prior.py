"""Priors over codes: the uniform one, and the base of your own."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.layers.prior import normal_cdf, sample_of


class CodePrior(keras.layers.Layer):
    """Base of priors p(codes). A subclass defines `log_prob` and `draw`, and may have weights, which are trained.

    `log_prob` is differentiable in the weights: ``-log_prob`` of the training images' codes is what fits them. A
    subclass makes its weights in the constructor or in `build`, which gets the codes' shape.

    Draws are a function of standard normal noise, as those of `keras_vae.layers.Prior` are. A prior that cannot be
    drawn from in this way defines `sample` instead of `draw`; models with it are not exported. If a prior has
    ``num_classes``, its `draw` also takes labels, int32 (N,), or None for draws of all classes.

    Args:
        codebook_size: the number K of different codes; each code is in [0, K).
        code_shape: the shape of an image's codes: (h, w), (h, w, g), or (g,) for a latent vector.
    """

    num_classes: int | None = None
    """Number of labels of a prior that can be drawn from by class."""

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

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise for one draw, by default that of the codes."""
        return self.code_shape

    def draw(self, noise: Any) -> Any:
        """Draws, int32 (N, *code_shape), made of draws from N(0, I), float32 (N, *noise_shape)."""
        raise NotImplementedError

    def sample(self, count: int, seed: Any = None, labels: Any = None) -> Any:
        """``count`` draws, int32 (count, *code_shape); the same for the same seed (as `keras.random` takes it).

        A prior with ``num_classes`` takes labels (count,), and draws of these classes.
        """
        return sample_of(self, count, seed, labels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "codebook_size": self.codebook_size, "code_shape": self.code_shape}


@keras.saving.register_keras_serializable(package="keras_vae")
class UniformCodes(CodePrior):
    """All codes are equally likely and independent: ``-log p(codes)`` is the number of codes times ``log K``.

    Reference: van den Oord et al. 2017, "Neural Discrete Representation Learning", section 3.1.
    """

    def log_prob(self, codes: Any) -> Any:
        return ops.full(ops.shape(codes)[:1], -math.prod(self.code_shape) * math.log(self.codebook_size), "float32")

    def draw(self, noise: Any) -> Any:
        # The noise's distribution function rounds to 1 far out.
        return ops.minimum(ops.cast(normal_cdf(noise) * self.codebook_size, "int32"), self.codebook_size - 1)
