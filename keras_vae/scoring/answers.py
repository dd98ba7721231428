"""A scorer's answers as tensors of one graph, which an exported model is."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_vae.scoring.calibration import FARTHEST, Calibration, range_of
from keras_vae.scoring.scorer import Scorer


def answers(scorer: Scorer, images: Any, labels: Any = None) -> dict[str, Any]:
    """What `Scorer` says of images (N, H, W, C), float32 in [0, 1], at its own rate of false alarms.

    Returns:
        ``score`` float32 (N,) in [0, 1), ``unusual`` bool (N,), and ``heat_map`` float32 (N, H, W), at least 0.

    Raises:
        InputError: before `Scorer.fit`, and if it saw too few normal images for that rate.
    """
    calibration = scorer.calibration
    taps = scorer.network(images)
    measures: dict[str, Any] = {}
    heat: Any = 0.0
    for detector, level in zip(scorer.detectors, scorer.heat_levels, strict=True):
        measures |= detector.measures_of(images, labels, taps)
        heat += detector.heat_of(images, labels, taps) / (level * len(scorer.detectors))
    combined = _combined(calibration, ops.stack([measures[name] for name in scorer.measure_names], axis=1))
    return {
        "score": _share_below(calibration, combined),
        "unusual": combined > calibration.limit(scorer.false_alarms),
        "heat_map": heat,
    }


def _combined(calibration: Calibration, measures: Any) -> Any:
    """The one number of measures (N, M): (N,)."""
    center, spread = (ops.convert_to_tensor(row, "float32") for row in calibration.units)
    excess = (measures - center) / spread
    combined = ops.sqrt(ops.sum(ops.square(ops.maximum(excess, 0.0)), axis=1))
    return ops.where(combined > 0, combined, ops.max(excess, axis=1))


def _share_below(calibration: Calibration, combined: Any) -> Any:
    """`share_below`, by comparing with all normal images: LiteRT has no search."""
    normal = ops.convert_to_tensor(calibration.combined, "float32")
    count, largest = len(calibration.combined), float(calibration.combined.max())
    below = ops.sum(ops.cast(combined[:, None] > normal, "float32"), axis=1)
    equal = ops.sum(ops.cast(ops.equal(combined[:, None], normal), "float32"), axis=1)
    share = (below + 0.5 * equal + 0.5) / (count + 1)
    beyond = ops.clip((combined - largest) / range_of(calibration.combined), 0.0, FARTHEST)
    return ops.where(combined > largest, 1 - 0.5 / (count + 1) / (1 + beyond), share)
