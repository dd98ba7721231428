"""Heat maps over images."""

import numpy as np
from numpy.typing import NDArray

from keras_vae.visualize.style import Picture

# Heat is in units of its mean over normal images. This many of them are drawn in the strongest colour.
_STRONGEST = 10.0


def heat_overlay(image: NDArray[np.uint8], heat: NDArray[np.floating]) -> Picture:
    """A heat map over a greyed image: uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, C), C of 1 or 3.
        heat: (H, W), where 1 is the mean of normal images; ten and more are drawn in the strongest colour.
    """
    import matplotlib  # deferred: training imports this room

    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1) / 255
    strength = np.clip(heat / _STRONGEST, 0, 1)[..., None]
    colours = matplotlib.colormaps["inferno"](strength[..., 0])[..., :3]
    mixed = grey * 0.6 * (1 - strength) + colours * (0.4 + 0.6 * strength) * (strength > 0)
    return np.rint(255 * np.clip(mixed, 0, 1)).astype(np.uint8)
