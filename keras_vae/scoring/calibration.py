"""What is unusual, by normal images alone: split conformal prediction.

Vovk et al. 2005, "Algorithmic Learning in a Random World"; Angelopoulos & Bates 2023, "Conformal Prediction: A Gentle
Introduction", section 1.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError

Values = npt.NDArray[np.floating]
# Ranges beyond the normal images at which shares still differ from 1 in float64.
FARTHEST = 1e9


def false_alarm_threshold(normal: Values, rate: float) -> float:
    """The value that a further normal image exceeds with a probability of at most ``rate``.

    It is the k-th smallest of n values, ``k = ⌈(n + 1)(1 - rate)⌉``. If normal images are exchangeable, the probability
    is within ``1 / (n + 1)`` of ``rate``, whatever the values mean.

    Args:
        normal: how unusual n normal images are that nothing else was fitted to, (n,).
        rate: in (0, 1).

    Raises:
        InputError: if ``rate`` is out of range, or n is too small for it.
    """
    if not 0 < rate < 1:
        raise InputError(f"the rate of false alarms must be between 0 and 1, got {rate:g}")
    rank = math.ceil((len(normal) + 1) * (1 - rate) - 1e-9)
    if rank > len(normal):
        least = math.ceil(1 / rate - 1e-9) - 1
        raise InputError(
            f"a rate of {rate:g} false alarms takes at least {least:,} normal images beside those of training, and "
            f"there are {len(normal):,}; ask for a larger rate"
        )
    return float(np.sort(normal)[rank - 1])


def share_below(normal: Values, values: Values) -> npt.NDArray[np.float64]:
    """The share of normal images that are less unusual: (N,) in [0, 1), increasing in ``values``.

    Ties count half. Above the largest of the n normal values the rest, ``1 / (n + 1)``, falls with the distance in
    units of their range, so that the most unusual images are still ordered.
    """
    ordered = np.sort(np.asarray(normal, np.float64))
    values = np.asarray(values, np.float64)
    count = len(ordered)
    below = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    share = (below + 0.5) / (count + 1)
    beyond = np.clip((values - ordered[-1]) / range_of(ordered), 0, FARTHEST)
    return np.where(values > ordered[-1], 1 - 0.5 / (count + 1) / (1 + beyond), share)


def range_of(normal: Values) -> float:
    """The distance between the smallest and the largest of the values, above 0."""
    return max(float(np.ptp(normal)), 1e-6 * max(1.0, abs(float(np.max(normal)))))


def units_of(measures: Values) -> npt.NDArray[np.float64]:
    """The median of each measure (N, M), and the distance of its 90th percentile from it: (2, M)."""
    center, upper = np.quantile(np.asarray(measures, np.float64), (0.5, 0.9), axis=0)
    # A measure that is the same for all of them says nothing below and everything above it.
    return np.stack([center, np.maximum(upper - center, 1e-6 * np.maximum(np.abs(center), 1e-6))])


class Calibration:
    """Compares images with held-out normal images by several measures.

    The measures become one number, ``sqrt(Σ_j max(0, (m_j - center_j) / spread_j)²)``, with the `units_of` normal
    images as center and spread; where all are below, the largest of them. A measure that says nothing about an image
    adds little, and one that sees it well is not outvoted by the rest.

    Args:
        normal: measures of n normal images that nothing was fitted to, (n, M); larger is more unusual.
        units: `units_of` other normal images. Those of ``normal`` itself would not do: they fit these images better
            than fresh ones, so that with 19 images and 10 measures 9% were false alarms in place of 5%.
    """

    def __init__(self, normal: Values, units: Values) -> None:
        self.normal = np.asarray(normal, np.float64)
        self.units = np.asarray(units, np.float64)
        self.combined = self._combine(self.normal)

    def scores(self, measures: Values) -> npt.NDArray[np.float64]:
        """Measures (N, M) → the share of the normal images that are less unusual, (N,) in [0, 1)."""
        return share_below(self.combined, self._combine(measures))

    def threshold(self, rate: float) -> float:
        """The score that a further normal image exceeds with a probability of at most ``rate``.

        Raises:
            InputError: as `false_alarm_threshold`.
        """
        return float(share_below(self.combined, np.asarray([self.limit(rate)]))[0])

    def limit(self, rate: float) -> float:
        """The one number of several measures that `threshold` is the score of.

        Raises:
            InputError: as `false_alarm_threshold`.
        """
        return false_alarm_threshold(self.combined, rate)

    def _combine(self, measures: Values) -> npt.NDArray[np.float64]:
        center, spread = self.units
        excess = (np.asarray(measures, np.float64) - center) / spread
        combined = np.sqrt(np.sum(np.square(np.maximum(0.0, excess)), axis=1))
        return np.where(combined > 0, combined, np.max(excess, axis=1))
