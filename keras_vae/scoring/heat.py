"""Heat maps from maps of any resolution."""

from __future__ import annotations

import math
from typing import Any

from keras import ops


def resized(maps: Any, height: int, width: int) -> Any:
    """Maps (N, h, w) bilinearly resized to (N, height, width)."""
    if tuple(maps.shape[1:3]) == (height, width):
        return maps
    return ops.image.resize(maps[..., None], (height, width), "bilinear", data_format="channels_last")[..., 0]


def smoothed(maps: Any) -> Any:
    """Maps (N, H, W) blurred with a Gaussian of a sixty-fourth of their longer side: 4 pixels of 256, as in PaDiM."""
    sigma = max(maps.shape[1:3]) / 64
    reach = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(-reach, reach + 1)]
    kernel = ops.reshape(ops.convert_to_tensor(weights, "float32") / sum(weights), (-1, 1, 1, 1))
    x = ops.pad(maps[..., None], ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    x = ops.conv(x, kernel, padding="valid", data_format="channels_last")
    return ops.conv(x, ops.transpose(kernel, (1, 0, 2, 3)), padding="valid", data_format="channels_last")[..., 0]
