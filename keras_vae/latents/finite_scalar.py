"""Finite scalar quantisation: each channel is rounded to one of a few levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents.code_prior import CodePrior
from keras_vae.latents.quantizer import Quantizer

MAX_CODEBOOK_SIZE = 2**24  # each code has a number in the running usage
_MARGIN = 1e-3


@keras.saving.register_keras_serializable(package="keras_vae")
class FiniteScalarQuantizer(Quantizer):
    """``z = round(bound(features)) / ⌊L / 2⌋``, where channel i of a code has ``L = levels[i]`` levels in [-1, 1].

    ``bound(x) = tanh(x + s) · (L - 1)(1 + ε) / 2 - o``, with ``ε = 0.001``. Odd L have ``o = s = 0``. Even L have
    ``o = ½``, and s such that ``bound(0) = 0``: without it 0 would lie between two levels. (Mentzer et al. print a
    tangent for s, which is no inverse of the hyperbolic one; ours is the artanh.)

    The code of a group is its number in mixed radix, ``Σ digit_i · Π_{j<i} levels[j]``, with digits counted from the
    lowest level. There is no codebook, hence no loss: the gradient of z goes straight through the rounding. The latent
    has a multiple of ``len(levels)`` channels.

    Args:
        levels: the number of levels, at least 3, for each channel of a code. At most 2^24 codes. The paper takes
            (8, 6, 5) for 2^8 codes, (8, 5, 5, 5) for 2^10, (7, 5, 5, 5, 5) for 2^12, (8, 8, 8, 6, 5) for 2^14 and
            (8, 8, 8, 5, 5, 5) for 2^16.
        prior: p(codes); None is the uniform prior.

    Raises:
        InputError: if the levels are out of range.

    Reference: Mentzer et al. 2024, "Finite Scalar Quantization: VQ-VAE Made Simple".
    """

    def __init__(self, levels: Sequence[int] = (8, 5, 5, 5), prior: CodePrior | None = None, **kwargs: Any) -> None:
        levels = tuple(levels)
        if not levels or min(levels) < 3 or math.prod(levels) > MAX_CODEBOOK_SIZE:
            raise InputError(f"levels must be at least 3 each and make at most {MAX_CODEBOOK_SIZE} codes, got {levels}")
        super().__init__(len(levels), prior, **kwargs)
        self.levels = levels

    @property
    def codebook_size(self) -> int:
        return math.prod(self.levels)

    @property
    def _half_width(self) -> Any:
        return _constant([number // 2 for number in self.levels], "int32")

    @property
    def _place_values(self) -> Any:
        return _constant([math.prod(self.levels[:index]) for index in range(len(self.levels))], "int32")

    def _project(self, rows: Any) -> Any:
        reach = [(number - 1) * (1 + _MARGIN) / 2 for number in self.levels]
        offset = [0.0 if number % 2 else 0.5 for number in self.levels]
        shift = [math.atanh(half / most) for half, most in zip(offset, reach, strict=True)]
        bounded = ops.tanh(rows + _constant(shift)) * _constant(reach) - _constant(offset)
        return bounded / ops.cast(self._half_width, "float32")

    def _nearest(self, vectors: Any) -> Any:
        levels = ops.cast(ops.round(vectors * ops.cast(self._half_width, "float32")), "int32")
        # Clipped as integers, since NaN becomes any integer.
        digits = ops.clip(levels + self._half_width, 0, _constant(self.levels, "int32") - 1)
        return ops.sum(digits * self._place_values, axis=-1)

    def _lookup(self, numbers: Any) -> Any:
        digits = ops.expand_dims(numbers, -1) // self._place_values % _constant(self.levels, "int32")
        return ops.cast(digits - self._half_width, "float32") / ops.cast(self._half_width, "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


def _constant(values: Sequence[float], dtype: str = "float32") -> Any:
    return ops.convert_to_tensor(values, dtype)
