"""Monotonic rational-quadratic splines.

Durkan et al. 2019, "Neural Spline Flows", section 3.1; Gregory & Delbourgo 1982.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_vae.latents.vector_prior import bounded

# The least width and height of a bin, as a share of what equal bins would have, and the bound of the logarithm of the
# slopes at the knots. They keep the slope within what float32 inverts.
LEAST_SHARE = 0.1
LOG_SLOPE_BOUND = 3.0


def spline_parameters(bins: int) -> int:
    """The number of parameters of one spline: widths and heights of the bins, and slopes between them."""
    return 3 * bins - 1


def spline(x: Any, parameters: Any, bound: float) -> tuple[Any, Any]:
    """``(y, log dy/dx)`` of a monotonic spline on [-bound, bound], which is the identity outside.

    Args:
        x: (...,).
        parameters: (..., `spline_parameters`), any real numbers; zeros make the identity.
        bound: half the interval.
    """
    inside = ops.clip(x, -bound, bound)
    (left, width), (bottom, height), (slope, next_slope) = _bin_of(inside, parameters, bound, along=0)
    mean_slope = height / width
    at = (inside - left) / width
    both = at * (1.0 - at)
    excess = slope + next_slope - 2.0 * mean_slope
    denominator = mean_slope + excess * both
    y = bottom + height * (mean_slope * ops.square(at) + slope * both) / denominator
    slopes = next_slope * ops.square(at) + 2.0 * mean_slope * both + slope * ops.square(1.0 - at)
    log_slope = 2.0 * ops.log(mean_slope) + ops.log(slopes) - 2.0 * ops.log(denominator)
    is_inside = ops.abs(x) < bound
    return ops.where(is_inside, y, x), ops.where(is_inside, log_slope, ops.zeros_like(log_slope))


def inverse_spline(y: Any, parameters: Any, bound: float) -> Any:
    """The x of which `spline` makes y, for the same parameters."""
    inside = ops.clip(y, -bound, bound)
    (left, width), (bottom, height), (slope, next_slope) = _bin_of(inside, parameters, bound, along=1)
    mean_slope = height / width
    rise = inside - bottom
    excess = slope + next_slope - 2.0 * mean_slope
    # The root in [0, 1] of a·at² + b·at + c, in the form that does not cancel.
    a = height * (mean_slope - slope) + rise * excess
    b = height * slope - rise * excess
    c = -mean_slope * rise
    root = ops.sqrt(ops.maximum(ops.square(b) - 4.0 * a * c, 0.0))
    x = left + width * (2.0 * c / (-b - root))
    return ops.where(ops.abs(y) < bound, x, y)


def _bin_of(values: Any, parameters: Any, bound: float, along: int) -> list[tuple[Any, Any]]:
    """Left edge and width, lower edge and height, and both slopes of the bin in which each of ``values`` lies.

    ``values`` are on the horizontal axis (``along`` 0) or on the vertical one (1).
    """
    bins = (parameters.shape[-1] + 1) // 3
    widths, heights = (_shares(parameters[..., axis * bins : (axis + 1) * bins], bound) for axis in (0, 1))
    edges = [_left_edges(sizes, bound) for sizes in (widths, heights)]
    inner = ops.exp(bounded(parameters[..., 2 * bins :], LOG_SLOPE_BOUND))
    # At the ends the slope is that of the identity outside.
    end = ops.ones_like(widths[..., :1])
    slopes, next_slopes = ops.concatenate([end, inner], axis=-1), ops.concatenate([inner, end], axis=-1)

    # A value is in the last bin whose left edge it has reached. Rounding may put the first edge above -bound.
    reached = ops.cast(values[..., None] >= edges[along][..., 1:], "float32")
    is_here = ops.concatenate([end, reached], axis=-1) - ops.concatenate([reached, ops.zeros_like(end)], axis=-1)

    def chosen(table: Any) -> Any:
        return ops.sum(is_here * table, axis=-1)

    pairs = ((edges[0], widths), (edges[1], heights), (slopes, next_slopes))
    return [(chosen(first), chosen(second)) for first, second in pairs]


def _shares(logits: Any, bound: float) -> Any:
    """Positive sizes with the sum 2·bound."""
    bins = logits.shape[-1]
    return 2.0 * bound * (LEAST_SHARE / bins + (1.0 - LEAST_SHARE) * ops.softmax(logits, axis=-1))


def _left_edges(sizes: Any, bound: float) -> Any:
    return ops.cumsum(sizes, axis=-1) - sizes - bound
