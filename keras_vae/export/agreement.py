"""How far the outputs of an exported model are from the Keras model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_vae.models import VAE

LARGEST = "largest absolute difference"
OTHER_CODES = "share of codes that differ"
SCORE = "largest absolute difference of a score, or of the heat map in units of its largest value"
SCORE_BOUND = 0.01
# Rounding may turn a code that lies between two into the other one, and with it z and pixels.
MOST_OTHER_CODES = 0.1


def largest_difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """The largest absolute difference of any output, over the images that have the same ``codes``, if there are codes.

    It is infinite if more than a tenth of the images have other codes.

    Args:
        found, expected: outputs by name, (N, ...) each, with the same names.
    """
    rows: Any = slice(None)
    if "codes" in expected:
        rows = np.all(_array(found["codes"]) == _array(expected["codes"]), axis=_inner_axes(expected["codes"]))
        if not rows.mean() >= 1 - MOST_OTHER_CODES:
            return np.inf
    return max(float(np.abs(_array(found[name])[rows] - _array(value)[rows]).max()) for name, value in expected.items())


class Agreement(NamedTuple):
    """A difference from the Keras model, and the largest that is allowed."""

    difference: float
    bound: float

    @property
    def is_enough(self) -> bool:
        """Whether the difference is within its bound; NaN is not."""
        return self.difference <= self.bound


def agreement(
    vae: VAE, found: Mapping[str, Any], expected: Mapping[str, Any], bound: float, *, is_relative: bool = False
) -> Agreement:
    """The `largest_difference`, and ``bound``, times the largest output if that is above 1 for spatial latents.

    Autoencoders of latent diffusion are trained with a small weight of the KL, so that nothing keeps their latents near
    N(0, I), and float32 rounds large numbers more coarsely. With ``is_relative`` the same holds for all latents.
    """
    if is_relative or vae.encoder.is_spatial:
        bound *= max(1.0, *(float(np.abs(_array(value)).max()) for value in expected.values()))
    return Agreement(largest_difference(found, expected), bound)


def score_agreement(found: Mapping[str, Any], expected: Mapping[str, Any], held_out: int) -> Agreement:
    """The `SCORE` of a scorer's answers, and its bound.

    Rounding may move an image past one of the ``held_out`` normal images that it is compared with.
    """
    heat = _array(expected["heat_map"])
    score = np.abs(_array(found["score"]) - _array(expected["score"])).max()
    of_heat = np.abs(_array(found["heat_map"]) - heat).max() / max(1.0, float(heat.max()))
    return Agreement(float(max(score, of_heat)), max(SCORE_BOUND, 1 / (held_out + 1)))


def share_of_other_codes(found: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """The share of all ``codes`` that differ."""
    return float(np.mean(_array(found["codes"]) != _array(expected["codes"])))


def _array(values: Any) -> npt.NDArray[Any]:
    return np.asarray(values)


def _inner_axes(values: Any) -> tuple[int, ...]:
    return tuple(range(1, len(values.shape)))
