"""Masks of anomalies, in the layout of MVTec AD: which pixels of an image are unusual."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError

from .runtime import read_pixels

if TYPE_CHECKING:
    from keras_vae.config import DataConfig
    from keras_vae.scoring import Scorer

    from .scored_images import ScoredImages

# Pixels whose heat is compared, of all images together.
MOST_PIXELS = 1 << 25
AT_A_TIME = 64

Masks = dict[int, npt.NDArray[np.bool_]]


def mask_of(image: Path) -> Path | None:
    """The mask of ``ROOT/test/KIND/000.png``, which is ``ROOT/ground_truth/KIND/000_mask.png`` or ``000.png``."""
    if len(image.parents) < 3:
        return None
    folder = image.parents[2] / "ground_truth" / image.parent.name
    masks = (folder / f"{image.stem}{ending}.png" for ending in ("_mask", ""))
    return next((mask for mask in masks if mask.is_file()), None)


def read_masks(images: ScoredImages, shape: tuple[int, int, int], config: DataConfig | None) -> Masks:
    """Row → mask (H, W), where it is white, of each image that has one; of normal images too if there are any.

    Masks are fitted to the model as their images are.

    Raises:
        InputError: if a mask cannot be read, or is not of its image's size.
    """
    is_of_squares = config is not None and config.crop is not None
    if images.is_normal is None or is_of_squares:
        return {}
    unusual = [int(row) for row in np.flatnonzero(~images.is_normal)]
    paths = {row: mask_of(Path(images.names[row])) for row in unusual}
    masks = {
        row: _read(path, Path(images.names[row]), shape, config) for row, path in paths.items() if path is not None
    }
    if not any(mask.any() for mask in masks.values()):
        return {}
    return masks | {int(row): np.zeros(shape[:2], bool) for row in np.flatnonzero(images.is_normal)}


def _read(mask: Path, image: Path, shape: tuple[int, int, int], config: DataConfig | None) -> npt.NDArray[np.bool_]:
    from PIL import Image

    pixels = read_pixels(mask, (*shape[:2], 1), config)
    with Image.open(mask) as first, Image.open(image) as second:
        own, its = ("×".join(map(str, one.size)) for one in (first, second))
    if own != its:
        raise InputError(f"{mask}: is {own}, but its image {image} is {its}; a mask has the size of its image")
    return pixels[..., 0] >= 128


def pixel_auroc(scorer: Scorer, images: ScoredImages, masks: Masks) -> float:
    """The area under the ROC curve of the heat of pixels in ``masks``, beside all others of images that have one."""
    from sklearn.metrics import roc_auc_score

    rows, heat = np.array(sorted(masks)), []
    for some in np.array_split(rows, -(-len(rows) // AT_A_TIME)):
        labels = None if images.labels is None or scorer.vae.num_classes is None else images.labels[some]
        heat.append(scorer.heatmap(images.read(some), labels).astype(np.float32).ravel())
    inside = np.concatenate([masks[row].ravel() for row in rows])
    every = -(-inside.size // MOST_PIXELS)
    return float(roc_auc_score(inside[::every], np.concatenate(heat)[::every]))
