"""Sources of z for new images: the prior, or a density fitted to the latents of the training images.

Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (RAE), section 4: ex-post density estimation.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar, Protocol

import keras
import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError
from keras_vae.latents import Bottleneck
from keras_vae.layers import Prior

Array = npt.NDArray[np.float32]

COMPONENTS = 10  # of a mixture, by default
# Latents of more dimensions get diagonal covariances: full ones would cost gigabytes.
MOST_CORRELATED = 256


class Sampler(Protocol):
    """Anything with a ``name`` and a ``sample``.

    Example:
        ```python
        class UniformSampler:
            name = "uniform"

            def sample(self, count, seed):
                return np.random.default_rng(seed).uniform(-2, 2, (count, 2)).astype("float32")
        ```
    """

    @property
    def name(self) -> str:
        """A short name, for titles and reports."""

    def sample(self, count: int, seed: int | None) -> Array:
        """``count`` latents, float32 (count, latent_dim); the same for the same seed, in random order."""


@dataclass(frozen=True)
class PriorSampler:
    """``z ~ p(z)``: the same draws as `VAE.sample` decodes for that seed, as vectors.

    Args:
        prior: the bottleneck of the model, or its prior.
        labels: int32 (count,), for draws of these classes; only for a prior with ``num_classes``.
    """

    name: ClassVar[str] = "prior"
    prior: Bottleneck | Prior
    labels: npt.NDArray[np.int32] | None = None

    @property
    def num_classes(self) -> int | None:
        """Number of labels of a prior that can be drawn from by class."""
        return self.prior.num_classes

    def sample(self, count: int, seed: int | None) -> Array:
        labels = () if self.labels is None else (self.labels,)
        return keras.ops.convert_to_numpy(self.prior.sample(count, seed, *labels)).reshape(count, -1)


@dataclass(frozen=True, eq=False)
class GaussianMixtureSampler:
    """``z ~ Σ_k w_k N(μ_k, Σ_k)``.

    Args:
        weights: (K,), positive, with sum 1.
        means: (K, latent_dim).
        covariances: (K, latent_dim, latent_dim), positive definite; or their diagonals (K, latent_dim).
    """

    name: ClassVar[str] = "gmm"
    weights: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    covariances: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, z: npt.ArrayLike, components: int = COMPONENTS, seed: int = 0) -> GaussianMixtureSampler:
        """The mixture under which ``z`` is (locally) most likely, by expectation maximisation.

        Args:
            z: latents (N, latent_dim). For a variational model, one draw ``z ~ q(z|x)`` for each training image: their
                density is the aggregate posterior, which the decoder has learnt to decode. For a plain autoencoder,
                its codes. Above 256 dimensions the covariances are diagonal.
            components: K.
            seed: seed of the initialisation.

        Raises:
            InputError: when there are fewer latents than components.
        """
        z = np.asarray(z, np.float64)
        if len(z) < components:
            raise InputError(f"a mixture of {components} components needs at least as many latents, got {len(z)}")
        # Deferred: it would make every import of the models a sixth of a second slower.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        kind = "full" if z.shape[1] <= MOST_CORRELATED else "diag"
        mixture = GaussianMixture(components, covariance_type=kind, random_state=seed)
        with warnings.catch_warnings():
            # A mixture that has not converged, or has fewer distinct points than components, can still be sampled.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(z)
        return cls(mixture.weights_, mixture.means_, mixture.covariances_)

    def sample(self, count: int, seed: int | None) -> Array:
        # scikit-learn orders its draws by component, so that the first few would not be a sample of the mixture.
        rng = np.random.default_rng(seed)
        components = rng.choice(len(self.weights), count, p=self.weights)
        noise = rng.standard_normal((count, self.means.shape[1]))
        if self.covariances.ndim == 2:
            return (self.means[components] + np.sqrt(self.covariances[components]) * noise).astype(np.float32)
        factors = np.linalg.cholesky(self.covariances)
        draws: Array = np.empty(noise.shape, np.float32)
        for component, (mean, factor) in enumerate(zip(self.means, factors, strict=True)):
            chosen = components == component
            draws[chosen] = mean + noise[chosen] @ factor.T
        return draws
