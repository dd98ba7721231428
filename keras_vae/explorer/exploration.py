"""What the page shows of a model: images with their posteriors, the planes to look at, and what the sliders move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_vae.visualize.projection import fit_projection
from keras_vae.visualize.style import latent_name

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]

# Images of the page, and the bytes of all their pixels: two megabytes, of which digits compress to a fifth.
MOST_IMAGES, MOST_PIXELS = 2000, 2 << 20
# Half a side of the view of a standard normal prior: 99.9% of it.
PRIOR_REACH = 3.3
# Principal directions of whole spatial latents: how many, from how many images at least and at most.
DIRECTIONS, FEWEST_IMAGES, ENOUGH_IMAGES = 12, 64, 512
# Numbers of all directions: 4 MB.
MOST_NUMBERS = 1 << 20


@dataclass(frozen=True)
class Exploration:
    """What the page shows. Names may come from strangers; the page never takes them for markup.

    Args:
        name: the model's name.
        data: the name of the data set that the images are of.
        image_shape: (H, W, C), C of 1 or 3.
        latent_shape: (L,), or (h, w, c) for a spatial latent.
        images: uint8 (N, H, W, C), N ≥ 1.
        means: their posterior means, float32 (N, L), where L is the product of ``latent_shape``.
        log_vars: the logarithms of the posteriors' variances, float32 (N, L).
        labels: the class of each image, int32 (N,), or None.
        label_names: the name of each class of ``labels``, or None.
        classes: the names of the classes that the model is conditional on, or None.
        is_variational: whether the posterior has a variance.
        is_standard_normal: whether the prior is N(0, I).
        draws: draws from another prior, float32 (M, L), or None.
        draw_labels: the class of each draw, int32 (M,), for a conditional model.
        centres_drawings: whether drawings are centred and scaled as MNIST's digits are.
    """

    name: str
    data: str
    image_shape: tuple[int, int, int]
    latent_shape: tuple[int, ...]
    images: UInt8
    means: Float32
    log_vars: Float32
    labels: Int32 | None = None
    label_names: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    is_variational: bool = True
    is_standard_normal: bool = True
    draws: Float32 | None = None
    draw_labels: Int32 | None = None
    centres_drawings: bool = False

    @property
    def is_spatial(self) -> bool:
        """Whether the latent is a feature map."""
        return len(self.latent_shape) == 3

    @property
    def is_near_prior(self) -> bool:
        """Whether latents lie where N(0, I) has its mass, so that distances can be told in its deviations."""
        return self.is_variational and self.is_standard_normal and not self.is_spatial


def images_shown(image_shape: tuple[int, int, int]) -> int:
    """The number of images of this shape that a page shows at most; at least 4."""
    return max(4, min(MOST_IMAGES, MOST_PIXELS // math.prod(image_shape)))


def facts_of(exploration: Exploration) -> dict[str, Any]:
    """Everything but the arrays, for JSON."""
    spatial = exploration.is_spatial
    return {
        "name": exploration.name,
        "data": exploration.data,
        "imageShape": list(exploration.image_shape),
        "latentShape": list(exploration.latent_shape),
        "isSpatial": spatial,
        "isVariational": exploration.is_variational,
        "drawsFromNormal": exploration.is_near_prior,
        "labelNames": None if exploration.labels is None else _label_names(exploration),
        "classes": None if exploration.classes is None else list(exploration.classes),
        "dimensions": [] if spatial else _dimensions(exploration),
        "planes": [] if spatial else _planes(exploration),
        "directions": _direction_names(exploration) if spatial else [],
        "drawing": {"centres": exploration.centres_drawings, "paper": _paper(exploration.images)},
    }


def arrays_of(exploration: Exploration) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the page by name; each little-endian, of uint8, int32 or float32.

    ``images`` (N, H, W, C), ``labels`` (N,) if there are any, and for latent vectors ``means`` (N, L); for spatial
    latents ``channels`` (c, c), principal directions of one position scaled to one standard deviation, and ``wholes``
    (K, L), those of whole latents. ``draws`` (M, L) and ``drawLabels`` (M,) if the prior is not N(0, I).
    """
    arrays: dict[str, npt.NDArray[Any]] = {"images": exploration.images}
    if exploration.labels is not None:
        arrays["labels"] = exploration.labels
    if exploration.is_spatial:
        arrays |= _directions(exploration)
    else:
        arrays["means"] = exploration.means
    if exploration.draws is not None:
        arrays["draws"] = exploration.draws
        if exploration.draw_labels is not None:
            arrays["drawLabels"] = exploration.draw_labels
    return arrays


def kl_per_dimension(means: Float32, log_vars: Float32) -> Float32:
    """The mean KL of each dimension from N(0, 1), in nats, float32 (L,), for posteriors (N, L)."""
    return np.mean(0.5 * (means**2 + np.exp(log_vars) - log_vars - 1), axis=0)


def _dimensions(exploration: Exploration) -> list[dict[str, Any]]:
    """Of each dimension its number, what it carries, and where its latents lie; the most active first.

    A dimension of a plain autoencoder has no KL. It is as active as its means vary.
    """
    means = exploration.means
    spread = means.std(axis=0)
    kl = kl_per_dimension(means, exploration.log_vars) if exploration.is_variational else None
    near_prior = exploration.is_near_prior
    return [
        {
            "index": int(index),
            "name": latent_name(int(index)),
            "kl": None if kl is None else round(float(kl[index]), 4),
            "centre": 0.0 if near_prior else float(means[:, index].mean()),
            "sigma": 1.0 if near_prior else max(float(spread[index]), 1e-6),
        }
        for index in np.argsort(-(spread if kl is None else kl), kind="stable")
    ]


def _planes(exploration: Exploration) -> list[dict[str, Any]]:
    """The planes to look at: the two most active dimensions, and the principal components if there are more than two.

    A plane has a ``centre`` (L,) and two orthonormal ``axes`` (2, L), their ``axisNames``, and what it shows: ``half``
    a side of a square around ``middle``.
    """
    size = exploration.means.shape[1]
    order = [dimension["index"] for dimension in _dimensions(exploration)][:2]
    if size == 2:
        order = [0, 1]
    axes = np.zeros((2, size))
    axes[range(len(order)), order] = 1  # of one dimension the second axis is zero
    names = [latent_name(index) for index in order]
    title = " and ".join(names) + (", the most active dimensions" if size > 2 else "")
    planes = [_plane(title, names, np.zeros(size), axes, exploration)]
    if size > 2:
        found = fit_projection(exploration.means)
        centre, components = getattr(found, "centre", None), getattr(found, "components", None)
        if centre is not None and components is not None:
            planes.append(_plane("principal components", list(found.axis_names), centre, components, exploration))
    return planes


def _plane(
    name: str,
    axis_names: list[str],
    centre: npt.NDArray[np.float64],
    axes: npt.NDArray[np.float64],
    exploration: Exploration,
) -> dict[str, Any]:
    points = (exploration.means - centre) @ axes.T
    points = points[np.isfinite(points).all(axis=1)]
    middle = np.zeros(2)
    reach = PRIOR_REACH if exploration.is_near_prior else 1e-3
    if len(points):
        if not exploration.is_near_prior:
            middle = np.median(points, axis=0)
        # A few points may lie outside: they would leave the others little room.
        reach = max(reach, 1.08 * float(np.quantile(np.abs(points - middle).max(axis=1), 0.995)))
    return {
        "name": name,
        "axisNames": axis_names,
        "centre": _rounded(centre),
        "axes": [_rounded(axis) for axis in axes],
        "middle": _rounded(middle),
        "half": round(reach, 3),
    }


def _directions(exploration: Exploration) -> dict[str, Float32]:
    *_, channels = exploration.latent_shape
    positions = exploration.means.reshape(-1, channels)
    found = {"channels": _principal(positions - positions.mean(axis=0), channels)}
    count = _whole_directions(exploration)
    if count:
        means = exploration.means[:ENOUGH_IMAGES]
        found["wholes"] = _principal(means - means.mean(axis=0), count)
    return found


def _direction_names(exploration: Exploration) -> list[str]:
    """Of whole latents first, then of all positions alike, in the order of the arrays."""
    *_, channels = exploration.latent_shape
    wholes = [f"direction {number + 1}" for number in range(_whole_directions(exploration))]
    return [*wholes, *(f"overall {number + 1}" for number in range(channels))]


def _whole_directions(exploration: Exploration) -> int:
    """How many directions of whole latents can be told from this many images."""
    count, size = exploration.means.shape
    if count < FEWEST_IMAGES:
        return 0
    return min(DIRECTIONS, MOST_NUMBERS // size)


def _principal(centred: Float32, count: int) -> Float32:
    """The first ``count`` principal directions of rows (N, D), as long as their deviations, float32 (count, D).

    The largest entry of each is positive: the same data, the same directions.
    """
    rows, size = centred.shape
    if size <= rows:
        values, vectors = np.linalg.eigh(centred.T @ centred / rows)
        directions = vectors[:, ::-1][:, :count].T * np.sqrt(np.maximum(values[::-1][:count, None], 0))
    else:
        # The same from the smaller matrix of products of rows.
        _, vectors = np.linalg.eigh(centred @ centred.T / rows)
        directions = vectors[:, ::-1][:, :count].T @ centred / math.sqrt(rows)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return np.asarray(directions * np.where(largest < 0, -1, 1), np.float32)


def _label_names(exploration: Exploration) -> list[str]:
    """The names of the classes, or their numbers."""
    if exploration.label_names is not None:
        return list(exploration.label_names)
    assert exploration.labels is not None
    return [str(number) for number in range(int(exploration.labels.max(initial=-1)) + 1)]


def _paper(images: UInt8) -> int:
    """The brightness around what the images show: 0 or 255."""
    edges = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    return 255 if np.median(edges) > 127 else 0


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    return [round(float(value), 6) for value in values]
