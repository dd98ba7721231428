"""Distances between two sets of vectors."""

from __future__ import annotations

from typing import Any

from keras import ops


def squared_distances(rows: Any, others: Any) -> Any:
    """Between each of (N, D) and each of (M, D): (N, M), at least 0."""
    products = ops.matmul(rows, ops.transpose(others))
    found = ops.sum(ops.square(rows), axis=1)[:, None] - 2 * products + ops.sum(ops.square(others), axis=1)
    return ops.maximum(found, 0.0)
