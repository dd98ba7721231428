"""What a VAE knows of an image: how well it comes back, what it costs, and how far its latent is from the normal ones.

An & Cho 2015, "Variational Autoencoder based Anomaly Detection using Reconstruction Probability".
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.prior import LOG_TWO_PI
from keras_vae.losses import likelihood_nll, lpips_distance, lpips_maps
from keras_vae.losses.vgg16 import read_heads
from keras_vae.metrics import mse
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time
from keras_vae.scoring.detector import Array, Detector, Labels
from keras_vae.scoring.distances import squared_distances
from keras_vae.scoring.heat import resized, smoothed
from keras_vae.scoring.regret import LikelihoodRegret

# Latents that distances are measured to, and numbers in them: 64 MB.
MOST_LATENTS, MOST_NUMBERS = 10_000, 1 << 24
# Directions of the Mahalanobis distance; a covariance of more would take more images than people have.
MOST_DIRECTIONS = 256
# Of the mixture: the leading directions that it sees, normal latents for each component, most components, and what is
# added to each variance, where latents have variance 1. On MNIST's digits held-out ones were most likely near these.
MIXTURE_DIRECTIONS, LATENTS_A_COMPONENT, MOST_COMPONENTS, MIXTURE_NOISE = 16, 125, 64, 0.03


@keras.saving.register_keras_serializable(package="keras_vae")
class VAEDetector(Detector):
    """Errors of the reconstruction, terms of the ELBO, and distances to the latents of normal images.

    Measures, through the posterior mean: ``mse``; ``lpips`` (VGG16, three taps); ``local``, the largest value of
    ``heat``; ``nll`` = -log p(x | z), ``kl`` and ``negative_elbo``, their sum, in nats; ``neighbours``, the mean
    distance to the k nearest normal latents; ``mahalanobis``, the distance to their mean in units of their covariance;
    and ``density``, -log p of a mixture of Gaussians fitted to their leading directions, in nats. A learned prior's KL
    is that at the mean. A model without a posterior variance, or without a density of its prior, has neither ``kl`` nor
    ``negative_elbo``. With ``importance_samples`` there is also ``importance_nll``, the importance-weighted estimate of
    -log p(x) in nats (Burda et al. 2016, eq. 8), whose draws are the same for all images. With ``regret_steps`` there
    is also ``likelihood_regret``, in nats (`LikelihoodRegret`).

    ``heat`` is the squared error in units of the likelihood's variance plus the distance of VGG16's features, each in
    units of its mean over normal images, smoothed.

    Args:
        vae: a trained model. A conditional one needs labels everywhere.
        neighbours: k. Default 5.
        seed: seed of the mixture's start, and of draws. Default 0.
        importance_samples: draws of z for each image, each decoded. Default 0: no such measure.
        regret_steps: steps that optimise each image's posterior. Default 0: no such measure.
        statistics: as for `Detector`.

    Raises:
        InputError: if there are importance samples, or steps, of a model without a posterior variance or a density of
            its prior.
    """

    def __init__(
        self,
        vae: VAE,
        neighbours: int = 5,
        seed: int = 0,
        importance_samples: int = 0,
        regret_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vae, self.neighbours, self.seed, self.importance_samples = vae, neighbours, seed, importance_samples
        self.regret_steps = regret_steps
        self._heads = read_heads("bundled", 3)
        has_elbo = vae.variational and vae.prior.has_density
        for what, count in (("importance samples", importance_samples), ("steps of likelihood regret", regret_steps)):
            if count and not has_elbo:
                raise InputError(f"{what} take a posterior and the density of a prior, which this model lacks")
        terms = [*(["kl", "negative_elbo"] if has_elbo else []), *(["importance_nll"] if importance_samples else [])]
        of_latents = ["neighbours", "mahalanobis", "density", *(["likelihood_regret"] if regret_steps else [])]
        self.measure_names = ("mse", "lpips", "local", "nll", *terms, *of_latents)
        self._regret = LikelihoodRegret(vae, regret_steps, seed) if regret_steps else None

    def fit(self, images: Array, labels: Labels = None) -> None:
        """Take the latents of normal images (N, H, W, C), and the level of errors."""
        most = max(2, min(MOST_LATENTS, MOST_NUMBERS // self.vae.latent_dim))
        chosen = np.linspace(0, len(images) - 1, min(most, len(images))).astype(int)
        latents, errors = [], []
        for rows in np.array_split(chosen, -(-len(chosen) // images_at_a_time(images.shape[1:3]))):
            part = None if labels is None else labels[rows]
            mean, _ = self._posterior(images[rows], part)
            latents.append(ops.convert_to_numpy(mean))
            shown, decoded = ops.convert_to_tensor(images[rows]), self.vae.decode(mean, part)
            found = self._maps(shown, decoded, self.network(shown), self.network(decoded))
            errors.append([float(ops.convert_to_numpy(ops.mean(one))) for one in found])
        memory = np.concatenate(latents)
        self.hold("latents", memory)
        self.hold("center", memory.mean(axis=0))
        whitening = _whitening(memory)
        self.hold("whitening", whitening)
        self._hold_mixture((memory - memory.mean(axis=0)) @ whitening[:, :MIXTURE_DIRECTIONS])
        self.hold("levels", np.maximum(np.mean(errors, axis=0), 1e-12))

    def measures_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> dict[str, Any]:
        mean, log_var = self._posterior(images, labels)
        reconstructions = self.vae.decode(mean, labels)
        features = list(taps), self.network(reconstructions)
        nll = likelihood_nll(self.vae.likelihood, images, reconstructions, self.vae.likelihood_scale)
        found = {
            "mse": mse(images, reconstructions),
            "lpips": lpips_distance(*features, self._heads),
            "local": ops.max(self._heat(images, reconstructions, *features), axis=(1, 2)),
            "nll": nll,
        }
        if log_var is not None and self.vae.prior.has_density:
            latents = (ops.reshape(part, (-1, *self.vae.latent_shape)) for part in (mean, log_var, mean))
            kl = self.vae.prior.kl(*latents)
            found |= {"kl": kl, "negative_elbo": nll + kl}
            if self.importance_samples:
                found["importance_nll"] = self._importance_nll(images, labels, mean, log_var)
        whitened = ops.matmul(mean - self.center, self.whitening)
        return found | {
            "neighbours": self._distance_to_neighbours(mean),
            "mahalanobis": ops.norm(whitened, axis=1),
            "density": self._mixture_nll(whitened[:, :MIXTURE_DIRECTIONS]),
        }

    def slow_measures_of(self, images: Array, labels: Labels = None) -> dict[str, Array]:
        return {} if self._regret is None else {"likelihood_regret": self._regret(images, labels)}

    def _importance_nll(self, images: Any, labels: Any, mean: Any, log_var: Any) -> Any:
        rng = np.random.default_rng(self.seed)
        noise = ops.convert_to_tensor(rng.standard_normal((self.importance_samples, self.vae.latent_dim), np.float32))

        def with_draw(place: Any, total: Any) -> Any:
            draw = ops.take(noise, place, axis=0)
            z = mean + ops.exp(0.5 * log_var) * draw
            log_posterior = -0.5 * ops.sum(ops.square(draw) + log_var + LOG_TWO_PI, axis=1)
            log_prior = self.vae.prior.log_prob(ops.reshape(z, (-1, *self.vae.latent_shape)))
            decoded = self.vae.decode(z, labels)
            nll = likelihood_nll(self.vae.likelihood, images, decoded, self.vae.likelihood_scale)
            return ops.logaddexp(total, log_prior - log_posterior - nll)

        total = ops.fori_loop(0, self.importance_samples, with_draw, ops.full_like(mean[:, 0], -1e30))
        return math.log(self.importance_samples) - total

    def heat_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> Any:
        reconstructions = self.vae.reconstruct(images, labels)
        return self._heat(images, reconstructions, taps, self.network(reconstructions))

    def _heat(self, images: Any, reconstructions: Any, features: Any, others: Any) -> Any:
        found = self._maps(images, reconstructions, features, others)
        return smoothed(sum(one / self.levels[place] for place, one in enumerate(found)))

    def _posterior(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Mean and log-variance as vectors; of a model without a variance, z and None."""
        if self.vae.variational:
            return self.vae.encode_flat(images, labels)
        return ops.reshape(self.vae.latents(images, labels)["z"], (-1, self.vae.latent_dim)), None

    def _distance_to_neighbours(self, mean: Any) -> Any:
        count = min(self.neighbours, self.latents.shape[0])
        nearest, _ = ops.top_k(-squared_distances(mean, self.latents), count)
        return ops.mean(ops.sqrt(-nearest), axis=1)

    def _hold_mixture(self, latents: npt.NDArray[np.float64]) -> None:
        """Fit the mixture to whitened latents (N, r)."""
        from sklearn.mixture import GaussianMixture

        components = int(np.clip(len(latents) // LATENTS_A_COMPONENT, 1, MOST_COMPONENTS))
        with warnings.catch_warnings():
            # Fifty iterations are enough for a density, converged or not.
            warnings.simplefilter("ignore")
            mixture = GaussianMixture(components, reg_covar=MIXTURE_NOISE, max_iter=50, random_state=self.seed)
            mixture.fit(latents)
        factors = mixture.precisions_cholesky_
        self.hold("component_means", mixture.means_)
        self.hold("component_factors", factors)
        volumes = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        self.hold("component_levels", np.log(mixture.weights_) + volumes - latents.shape[1] / 2 * np.log(2 * np.pi))

    def _mixture_nll(self, whitened: Any) -> Any:
        distances = ops.einsum("nkd,kde->nke", whitened[:, None] - self.component_means, self.component_factors)
        return -ops.logsumexp(self.component_levels - 0.5 * ops.sum(ops.square(distances), axis=-1), axis=1)

    def _maps(self, images: Any, reconstructions: Any, features: Any, others: Any) -> tuple[Any, Any]:
        """Squared error over channels (N, H, W), and LPIPS before its mean over positions, resized to that."""
        height, width = images.shape[1:3]
        error = ops.mean(ops.square(images - reconstructions), axis=-1)
        distances = lpips_maps(features, others, self._heads)
        return error, sum(resized(distance, height, width) for distance in distances)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vae": keras.saving.serialize_keras_object(self.vae),
            "neighbours": self.neighbours,
            "seed": self.seed,
            "importance_samples": self.importance_samples,
            "regret_steps": self.regret_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAEDetector:
        vae = keras.saving.deserialize_keras_object(config["vae"], custom_objects)
        if not isinstance(vae, VAE):
            raise InputError(f"a scorer needs a VAE, its file has a {type(vae).__name__}")
        return cls(**{**config, "vae": vae})


def _whitening(latents: Array) -> npt.NDArray[np.float64]:
    """The matrix (D, r) after which latents have variance 1 in each of their r ≤ 256 leading directions.

    Variances are shrunk towards their mean as for few images (Ledoit & Wolf 2004, with the fixed weight D / (N + D)).
    """
    centred = latents.astype(np.float64) - latents.mean(axis=0)
    count, size = centred.shape
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    variances = np.square(singular) / max(count - 1, 1)
    weight = size / (count + size)
    shrunk = (1 - weight) * variances + weight * np.sum(variances) / size
    kept = min(MOST_DIRECTIONS, len(shrunk))
    return directions[:kept].T / np.sqrt(np.maximum(shrunk[:kept], 1e-12))
