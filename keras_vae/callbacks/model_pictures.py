"""Pictures that show what a model has learned: samples, walks, traversals, the manifold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from keras_vae import visualize
from keras_vae.errors import InputError
from keras_vae.latents import UniformCodes
from keras_vae.layers import StandardNormal
from keras_vae.models import VAE, GaussianMixtureSampler, PriorSampler, Sampler
from keras_vae.models.batches import decode_in_batches
from keras_vae.visualize.style import PLOT_WIDTH, Picture, latent_name

MOST_TRAVERSED = 32
MOST_CLASSES = 20
# Three standard deviations of N(0, 1) leave out 1 in 740 on each side.
QUANTILE_DRAWS = 4000
NOISE_EXPECTED = "the prior takes the positions of a spatial latent as independent, so expect noise"


def is_noise_expected(vae: VAE, sampler: Sampler | None = None) -> bool:
    """Whether draws of ``sampler`` (by default of the prior) decode to noise: independent ones of a spatial latent.

    Neighbouring positions of such a latent depend on each other; independent draws do not.
    """
    is_prior = sampler is None or isinstance(sampler, PriorSampler)
    return is_prior and len(vae.latent_shape) == 3 and isinstance(vae.prior, StandardNormal | UniformCodes)


def samples_picture(
    vae: VAE,
    count: int,
    seed: int,
    sampler: Sampler | None = None,
    *,
    label: int | None = None,
    class_names: tuple[str, ...] | None = None,
    width: int = PLOT_WIDTH,
) -> Picture:
    """Decoded draws of ``sampler``, by default of the prior.

    A model with ``sample_classes`` draws the class ``label``. Without a label it draws one row for each class (at most
    20), with the same z down each column, or the same noise if the prior is conditional; together about ``count``
    images. The title of a picture that can only show noise says so (`is_noise_expected`).

    Raises:
        InputError: if there is a label, and neither the decoder nor the sampler knows labels.
    """
    sampler = sampler or PriorSampler(vae.bottleneck)
    title = f"Samples of {_name_of(sampler)} · latent {_latent_size(vae)}"
    title += _note_on(vae, sampler)
    of_class = isinstance(sampler, PriorSampler) and sampler.num_classes is not None
    classes = vae.sample_classes if of_class else vae.num_classes
    if label is not None and classes is None:
        raise InputError(f"{_name_of(sampler)} has no labels; leave the label out, or sample the prior")

    def draws(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        chosen = PriorSampler(sampler.prior, labels) if isinstance(sampler, PriorSampler) and of_class else sampler
        return chosen.sample(len(labels), seed)

    if classes is None:
        return visualize.image_grid(decode_in_batches(vae, sampler.sample(count, seed)), title=title, width=width)
    if label is not None:
        labels = np.full(count, label, np.int32)
        title = f"{title} · class {label if class_names is None else class_names[label]}"
        return visualize.image_grid(decode_in_batches(vae, draws(labels), labels), title=title, width=width)
    rows = min(classes, MOST_CLASSES)
    columns = max(1, count // rows)
    labels = np.repeat(np.arange(rows, dtype=np.int32), columns)
    z = np.concatenate([draws(part) for part in np.split(labels, rows)])
    grid = decode_in_batches(vae, z, labels).reshape(rows, columns, *vae.image_shape)
    names = (class_names or tuple(map(str, range(rows))))[:rows]
    shown = "" if rows == classes else f" · the first {rows} of {classes} classes"
    same = "the same noise" if of_class else "a z"
    return visualize.class_grid(grid, names, title=f"{title} · {same} in each column{shown}", width=width)


def interpolation_picture(
    vae: VAE,
    images: npt.NDArray[Any],
    means: npt.NDArray[np.float32],
    rows: int,
    steps: int,
    seed: int,
    labels: npt.NDArray[np.int32] | None = None,
) -> Picture:
    """Spherical walks between the posterior means of random pairs of images; ``seed`` chooses the pairs.

    A conditional model needs the ``labels`` of the images: a walk keeps the class that it starts with.
    """
    pairs = np.random.default_rng(seed).permutation(len(means))[: 2 * min(rows, len(means) // 2)].reshape(2, -1)
    walks = visualize.slerp(means[pairs[0]], means[pairs[1]], steps)
    classes = None if vae.num_classes is None or labels is None else np.repeat(labels[pairs[0]], steps)
    decoded = decode_in_batches(vae, walks.reshape(-1, vae.latent_dim), classes)
    return visualize.interpolation_picture(
        decoded.reshape(*walks.shape[:2], *vae.image_shape), images[pairs].swapaxes(0, 1)
    )


def manifold_picture_of(vae: VAE, means: npt.NDArray[np.float32], *, width: int = PLOT_WIDTH) -> Picture:
    """The decoded quantiles of the prior along both dimensions of a latent of 2, or the two most active of more.

    The other dimensions are at their medians. A conditional model shows its first class. For a spatial latent the
    quantiles are those of N(0, 1): one dimension of a learned prior says little there, and draws of it take long.
    """
    # The variance of the posterior means measures activity (Burda et al. 2016, appendix C).
    most_active = np.sort(np.argsort(-means.var(axis=0), kind="stable")[: min(2, vae.latent_dim)])
    dimensions = tuple(int(dimension) for dimension in most_active)
    z = _at_quantiles_of_prior(vae, visualize.manifold_latents(vae.latent_dim, dimensions=dimensions))
    decoded = decode_in_batches(vae, z, _first_class(vae, len(z)))
    is_prior = _has_quantiles(vae) or isinstance(vae.prior, StandardNormal)
    title = f"Latent manifold: quantiles of {'the prior' if is_prior else 'N(0, 1)'}{_units(vae)}"
    title += f", the other dimensions at {_middle(vae)}" if vae.latent_dim > 2 else ""
    return visualize.manifold_picture(decoded, dimensions=dimensions, title=title + _note_on(vae), width=width)


def traversal_picture_of(vae: VAE, kl_per_dimension: npt.NDArray[np.float32]) -> Picture:
    """Decodes each latent dimension from -3 to 3, with the others at 0, and names its KL in nats.

    A learned prior of a latent vector gives its quantiles in place of those of N(0, 1): 0 is its median. A latent of
    more than 32 dimensions shows those with the largest KL; a conditional model shows its first class.
    """
    chosen = np.sort(np.argsort(-kl_per_dimension, kind="stable")[:MOST_TRAVERSED])
    z = visualize.traversal_latents(vae.latent_dim, dimensions=chosen.tolist())
    flat = _at_quantiles_of_prior(vae, z.reshape(-1, vae.latent_dim))
    decoded = decode_in_batches(vae, flat, _first_class(vae, len(flat)))
    names = [f"{latent_name(dimension)}, KL {kl_per_dimension[dimension]:.2f} nats" for dimension in chosen]
    left_out = len(kl_per_dimension) - len(chosen)
    which = f" · the {len(chosen)} of {len(kl_per_dimension)} with the largest KL" if left_out else ""
    title = f"Latent traversal: one dimension at a time{_units(vae)}, the others at {_middle(vae)}{which}"
    return visualize.traversal_picture(
        decoded.reshape(*z.shape[:2], *vae.image_shape), row_names=names, title=title + _note_on(vae)
    )


def _middle(vae: VAE) -> str:
    return "their medians" if _has_quantiles(vae) else "0"


def _units(vae: VAE) -> str:
    """What the numbers beside a picture are, if not z."""
    return " (the numbers are those of N(0, 1))" if _has_quantiles(vae) else ""


def _has_quantiles(vae: VAE) -> bool:
    """Whether the quantiles of the prior's dimensions are taken from draws: N(0, 1) does not need it."""
    return len(vae.latent_shape) == 1 and not isinstance(vae.prior, StandardNormal)


def _at_quantiles_of_prior(vae: VAE, z: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Latents (N, L) whose numbers are the quantiles of the prior's dimensions that those of ``z`` are of N(0, 1)."""
    if not _has_quantiles(vae):
        return z
    draws = PriorSampler(vae.bottleneck).sample(QUANTILE_DRAWS, seed=0)
    levels = norm.cdf(z)
    return np.stack([np.quantile(d, level) for d, level in zip(draws.T, levels.T, strict=True)], 1, dtype=np.float32)


def _note_on(vae: VAE, sampler: Sampler | None = None) -> str:
    return f" · {NOISE_EXPECTED}" if is_noise_expected(vae, sampler) else ""


def _latent_size(vae: VAE) -> str:
    """As ``--latent`` takes it: ``16``, or channels, height and width, ``4x7x7``."""
    if len(vae.latent_shape) == 1:
        return str(vae.latent_dim)
    height, width, channels = vae.latent_shape
    return f"{channels}x{height}x{width}"


def _first_class(vae: VAE, count: int) -> npt.NDArray[np.int32] | None:
    return None if vae.num_classes is None else np.zeros(count, np.int32)


def _name_of(sampler: Sampler) -> str:
    if isinstance(sampler, PriorSampler):
        return "the prior"
    if isinstance(sampler, GaussianMixtureSampler):
        return f"a Gaussian mixture fitted to the training posteriors, {len(sampler.weights)} components"
    return sampler.name
