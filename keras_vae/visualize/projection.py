"""Latent codes onto the plane: as they are, by principal components, or spread by their density."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from keras_vae.errors import InputError
from keras_vae.visualize.style import latent_name

Points = NDArray[np.float64]


class Projection(Protocol):
    """A fixed map from latent codes (N, L) to points (N, 2)."""

    @property
    def axis_names(self) -> tuple[str, str]:
        """What the two axes are."""
        ...

    @property
    def is_metric(self) -> bool:
        """Whether both axes are in the latent space's unit, so that a picture should give them the same scale."""
        ...

    def transform(self, means: ArrayLike) -> Points:
        """(N, L) → float64 (N, 2); rows that are not finite stay that way."""
        ...


@dataclass(frozen=True)
class PlaneProjection:
    """Two latent dimensions, shown as they are."""

    axis_names: tuple[str, str] = (latent_name(0), latent_name(1))
    is_metric: bool = True

    def transform(self, means: ArrayLike) -> Points:
        return latent_codes(means, latent_dim=2)


@dataclass(frozen=True)
class PrincipalProjection:
    """Orthogonal projection onto two principal components.

    Args:
        centre: (L,), subtracted first.
        components: (2, L), orthonormal rows.
        explained_variance_ratio: the share of the variance that each component holds, in [0, 1].
    """

    centre: Points
    components: Points
    explained_variance_ratio: tuple[float, float]
    is_metric: bool = True

    @property
    def axis_names(self) -> tuple[str, str]:
        first, second = (f"{share:.0%}" for share in self.explained_variance_ratio)
        return f"principal component 1 ({first} of variance)", f"principal component 2 ({second} of variance)"

    def transform(self, means: ArrayLike) -> Points:
        codes = latent_codes(means, latent_dim=len(self.centre))
        return (codes - self.centre) @ self.components.T


@dataclass(frozen=True)
class DensityProjection:
    """One latent dimension: x is the code, y spreads the points over the density there.

    A sina plot (Sidiropoulos et al. 2018). A point keeps its place within the spread from frame to frame,
    because that place depends on its index alone.
    """

    axis_names: tuple[str, str] = field(default=(latent_name(0), "density (points spread at random within it)"))
    is_metric: bool = False

    def transform(self, means: ArrayLike) -> Points:
        codes = latent_codes(means, latent_dim=1)[:, 0]
        spread = np.random.default_rng(0).uniform(-1, 1, len(codes))
        return np.stack([codes, spread * _relative_density(codes)], axis=1)


def fit_projection(means: ArrayLike) -> Projection:
    """The projection for latent codes of this size.

    L = 2 is shown as it is; L = 1 is spread by density; L > 2 is projected onto the two principal components
    of these means (scikit-learn's PCA). The sign of a component is chosen so that its largest weight is
    positive: the same data, the same picture.

    Args:
        means: (N, L) posterior means; rows that are not finite are left out of the fit.

    Raises:
        InputError: if ``means`` is not of shape (N, L).
    """
    codes = latent_codes(means)
    latent_dim = codes.shape[1]
    if latent_dim == 1:
        return DensityProjection()
    if latent_dim == 2:
        return PlaneProjection()
    finite = codes[np.isfinite(codes).all(axis=1)]
    if len(finite) < 2 or np.ptp(finite, axis=0).max() == 0:
        # Nothing varies (a diverged or a collapsed encoder): any plane shows it; take the first two dimensions.
        centre = finite[0] if len(finite) else np.zeros(latent_dim)
        return PrincipalProjection(centre, np.eye(2, latent_dim), (0.0, 0.0))
    from sklearn.decomposition import PCA  # deferred: its import takes a second, and two dimensions do without it

    pca = PCA(n_components=2, svd_solver="full").fit(finite)
    components = np.asarray(pca.components_, np.float64)
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    first, second = (float(ratio) for ratio in pca.explained_variance_ratio_)
    return PrincipalProjection(np.asarray(pca.mean_, np.float64), components * np.sign(largest), (first, second))


def latent_codes(means: ArrayLike, latent_dim: int | None = None) -> Points:
    """``means`` as float64 (N, L), L checked where it is given.

    Raises:
        InputError: for another shape.
    """
    codes = np.asarray(means, np.float64)
    if codes.ndim != 2 or codes.shape[1] == 0 or latent_dim not in (None, codes.shape[1]):
        expected = "L" if latent_dim is None else latent_dim
        raise InputError(f"latent codes: expected shape (N, {expected}), got {codes.shape}")
    return codes


def _relative_density(codes: Points) -> Points:
    """The density of the codes at each of them, relative to its peak: a smoothed histogram, in [0, 1]."""
    finite = codes[np.isfinite(codes)]
    if len(finite) < 2 or np.ptp(finite) == 0:
        return np.ones(len(codes))
    counts, edges = np.histogram(finite, bins=200)
    # Silverman's bandwidth, in bins.
    bandwidth = 1.06 * finite.std() * len(finite) ** -0.2 / (edges[1] - edges[0])
    density = gaussian_filter1d(counts.astype(np.float64), max(bandwidth, 1.0), mode="constant")
    return np.interp(codes, (edges[:-1] + edges[1:]) / 2, density / density.max())
