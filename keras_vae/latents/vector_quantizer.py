"""Vector quantisation: each group of channels becomes the nearest vector of a learned codebook."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents.code_prior import CodePrior
from keras_vae.latents.quantizer import USAGE_DECAY, Quantizer, all_finite

# Larger codebooks are searched in parts, since the matrix of distances has a column for each code: 65,536 vectors and
# 8,192 codes took 0.8 GB instead of 6.
CODES_AT_ONCE = 512
# Avoids a division by zero; one code among a million has a larger share.
_SMOOTHING = 1e-12


@keras.saving.register_keras_serializable(package="keras_vae")
class VectorQuantizer(Quantizer):
    """``z = e_k`` with ``k = argmin_j ‖x - e_j‖²``, for each group x of ``code_dim`` channels.

    Losses, in nats per image: "commitment", ``commitment · ‖x - sg(z)‖²``, and "codebook", ``‖sg(x) - z‖²``, if the
    optimizer trains the codebook. Both are sums over the latent's numbers and means over the images, as the negative
    log-likelihood is a sum over pixels.

    By default the codebook is no trainable weight: each vector is the exponential moving average of the features that
    were nearest to it (appendix A.1 of van den Oord et al.). The statistics for it are means over all codes of the
    batch: "usage", the share n_k of each code; "sums", the part of the features' mean that fell to it, (K, code_dim);
    and "residuals", the same of ``‖x - e_k‖²``. With N_k, the running usage, `follow` computes
    ``N_k ← γ N_k + (1 - γ) n_k`` and ``e_k ← e_k + (1 - γ) (sums_k - n_k e_k) / N_k``, which is A.1's ratio of two
    averages. Where A.1 is smoothed by adding to N_k alone, unused vectors shrink to the origin; ours stay in place.

    N_k starts at zero, so that the first batch moves the codebook as one step of k-means, by gradient too.

    A code is dead if the batch did not use it and its running usage is below ``restart`` of an equal share. It starts
    again at a draw from the running density of the features: another code, drawn by its running usage, plus Gaussian
    noise of that code's running variance, pooled with the mean over codes. (Dhariwal et al. 2020, "Jukebox", section
    3.1, take a random vector of the batch. A draw from averaged statistics is the same on every replica, and however
    many passes share a batch.)

    Args:
        codebook_size: the number K of codes, at least 2.
        code_dim: channels of one code; None is the whole last axis.
        commitment: the weight of the commitment loss, 0 or more.
        decay: γ in [0, 1); 0 means that the codebook loss and the optimizer train the codebook.
        cosine: the features and the codebook are normalised to length 1, so that the nearest code has the largest
            cosine (Yu et al. 2022, "Vector-quantized Image Modeling with Improved VQGAN", section 3.2).
        restart: a part of an equal share 1 / K, 0 or more; 0 means that dead codes stay dead.
        seed: seed of the codebook's first vectors and of the restarts; None draws one from Keras's global seed.
        prior: p(codes); None is the uniform prior.

    Raises:
        InputError: if an argument is out of range.

    Reference: van den Oord et al. 2017, "Neural Discrete Representation Learning".
    """

    def __init__(
        self,
        codebook_size: int = 512,
        code_dim: int | None = None,
        *,
        commitment: float = 0.25,
        decay: float = 0.99,
        cosine: bool = False,
        restart: float = 0.1,
        seed: int | None = None,
        prior: CodePrior | None = None,
        **kwargs: Any,
    ) -> None:
        _check(codebook_size=codebook_size, minimum=2)
        _check(code_dim=1 if code_dim is None else code_dim, minimum=1)
        _check(commitment=commitment)
        _check(restart=restart)
        _check(decay=decay)
        if decay >= 1:
            raise InputError(f"decay must be below 1, got {decay}")
        super().__init__(code_dim, prior, usage_decay=decay or USAGE_DECAY, **kwargs)
        self._codebook_size = codebook_size
        self.commitment = commitment
        self.decay = decay
        self.cosine = cosine
        self.restart = restart
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, features_shape: Any) -> None:
        super().build(features_shape)
        self.codebook = self.add_weight(
            (self.codebook_size, self.code_dim),
            keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
            trainable=not self.decay,
            autocast=False,
            name="codebook",
        )
        # The part of the mean squared residual that falls to each code, as a running mean.
        self.spread = self.add_weight((self.codebook_size,), "zeros", trainable=False, autocast=False, name="spread")

    @property
    def codebook_size(self) -> int:
        return self._codebook_size

    @property
    def vectors(self) -> Any:
        """The vector of each code, float32 (codebook_size, code_dim); of length 1 if ``cosine``."""
        return self._project(ops.convert_to_tensor(self.codebook))

    @property
    def loss_names(self) -> tuple[str, ...]:
        return ("commitment",) if self.decay else ("commitment", "codebook")

    def statistics_at_zero(self) -> dict[str, Any]:
        return {
            **super().statistics_at_zero(),
            "sums": ops.zeros((self.codebook_size, self.code_dim), "float32"),
            "residuals": ops.zeros((self.codebook_size,), "float32"),
        }

    def _project(self, rows: Any) -> Any:
        return _normalised(rows) if self.cosine else rows

    def _nearest(self, vectors: Any) -> Any:
        vectors, codebook = ops.stop_gradient(vectors), ops.stop_gradient(self.vectors)
        # Differences to a common centre keep the digits that ‖x‖² would swallow if the features were far from 0.
        centre = ops.mean(codebook, axis=0)
        vectors, codebook = vectors - centre, codebook - centre
        best, nearest = None, None
        for start in range(0, self.codebook_size, CODES_AT_ONCE):
            part = codebook[start : start + CODES_AT_ONCE]
            # ‖x - e‖² = ‖x‖² - 2 (x·e - ½ ‖e‖²), whose first term is the same for all e.
            scores = ops.matmul(vectors, ops.transpose(part)) - 0.5 * ops.sum(ops.square(part), axis=-1)
            score = ops.max(scores, axis=-1)
            # Keras's argmax of floats looks at their sign bits, which LiteRT cannot do.
            is_best = ops.cast(scores >= score[:, None], "int8")
            number = start + ops.cast(ops.argmax(is_best, axis=-1), "int32")
            nearest = number if best is None else ops.where(score > best, number, nearest)
            best = score if best is None else ops.maximum(score, best)
        return nearest

    def _lookup(self, numbers: Any) -> Any:
        return ops.take(self.vectors, numbers, axis=0)

    def _training_losses(self, vectors: Any, quantised: Any) -> dict[str, Any]:
        losses = {"commitment": self.commitment * self._squared_error(vectors - ops.stop_gradient(quantised))}
        if not self.decay:
            losses["codebook"] = self._squared_error(ops.stop_gradient(vectors) - quantised)
        return losses

    def _squared_error(self, differences: Any) -> Any:
        """The sum of squares of an image's differences, (P, code_dim), as a mean over images."""
        return math.prod(self.latent_shape) * ops.mean(ops.square(differences))

    def _batch_statistics(self, vectors: Any, numbers: Any) -> dict[str, Any]:
        residuals = ops.sum(ops.square(vectors - ops.take(self.codebook, numbers, axis=0)), axis=-1)
        return {
            **super()._batch_statistics(vectors, numbers),
            "sums": self._mean_by_code(vectors, numbers),
            "residuals": self._mean_by_code(ops.stop_gradient(residuals), numbers),
        }

    def follow(self, statistics: dict[str, Any]) -> None:
        state = self.seed_generator.state
        before = state * 1  # a copy
        super().follow(statistics)
        state.assign(ops.where(all_finite(statistics), ops.convert_to_tensor(state), before))

    def _learned(self, statistics: dict[str, Any]) -> list[tuple[Any, Any]]:
        ((_, usage),) = learned = super()._learned(statistics)
        codebook, share = ops.convert_to_tensor(self.codebook), statistics["usage"]
        rate = 1.0 - self._decay
        change = rate * (statistics["sums"] - share[:, None] * codebook) / (usage[:, None] + _SMOOTHING)
        if not self.decay:
            is_first = ops.sum(self.usage) == 0
            change = ops.where(is_first, change, 0.0)
        # The residuals are about the code before it moves, the variance about the one after.
        spread = self.spread + rate * (statistics["residuals"] - self.spread)
        spread = ops.maximum(spread - usage * ops.sum(ops.square(change), axis=-1), 0.0)
        codebook = codebook + change
        if self.restart:
            is_rare = usage < self.restart / self.codebook_size * ops.sum(usage)
            is_dead = ops.logical_and(is_rare, share == 0)
            drawn = self._draws(codebook, ops.where(is_dead, 0.0, usage), spread)
            codebook = ops.where(is_dead[:, None], drawn, codebook)
        return [*learned, (self.codebook, codebook), (self.spread, spread)]

    def _draws(self, codebook: Any, usage: Any, spread: Any) -> Any:
        """K draws, (K, code_dim), from a mixture of Gaussians around the codes."""
        seed = self.seed_generator
        # By the cumulative distribution, since `keras.random.categorical` takes K² draws to make K.
        cumulative = ops.cumsum(usage)
        uniform = cumulative[-1] * keras.random.uniform(usage.shape, dtype="float32", seed=seed)
        number = ops.minimum(ops.searchsorted(cumulative, uniform, side="right"), self.codebook_size - 1)
        # The mean variance counts as much as an average code's features. Otherwise a code that was used once would have
        # none, and copies of it would compete by rounding errors.
        variance = (spread + ops.mean(spread)) / (usage + ops.mean(usage) + _SMOOTHING) / self.code_dim
        noise = keras.random.normal(codebook.shape, dtype="float32", seed=seed)
        return ops.take(codebook, number, axis=0) + ops.sqrt(ops.take(variance, number))[:, None] * noise

    def get_config(self) -> dict[str, Any]:
        names = ("codebook_size", "code_dim", "commitment", "decay", "cosine", "restart", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _normalised(rows: Any) -> Any:
    return rows * ops.rsqrt(ops.maximum(ops.sum(ops.square(rows), axis=-1, keepdims=True), 1e-12))


def _check(minimum: float = 0, **argument: float) -> None:
    ((name, value),) = argument.items()
    if not value >= minimum:
        raise InputError(f"{name} must be at least {minimum}, got {value}")
