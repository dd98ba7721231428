"""What all quantisers share: codes and their shapes, the straight-through gradient, the prior, and usage."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents.bottleneck import LOG_VAR_MIN, Bottleneck, Latents
from keras_vae.latents.code_prior import CodePrior, UniformCodes

# A code is in use if its running usage is above this part of an equal share, 1 / codebook_size.
IN_USE = 0.01
USAGE_DECAY = 0.99


class Quantizer(Bottleneck):
    """Base of bottlenecks whose z is made of codes, each one of ``codebook_size`` vectors.

    The last axis of the features, float32 (N, *latent_shape), is cut into groups of ``code_dim`` channels, and each
    group becomes one code. ``code_shape`` is (h, w) for one group at each position of a latent (h, w, c), (h, w, g)
    for g groups, and (g,) for a latent vector. z has the features' shape. The gradient of z goes straight through to
    the vectors that were quantised (Bengio et al. 2013).

    ``kl`` is ``-log p(codes)`` under the prior, which the uniform prior makes a constant.

    The statistic "usage", float32 (codebook_size,), is the mean share of each code. `follow` keeps its moving average,
    the weight ``usage``. It starts at zero; only its ratios count, so that the first batches weigh no more than others.

    A subclass defines ``codebook_size``, and three functions of rows, float32 (P, code_dim), where P is the number of
    codes in the batch: `_project` gives the vectors to quantise, `_nearest` their codes (P,), and `_lookup` the vectors
    of codes. It may add losses and statistics.

    Args:
        code_dim: channels of one code; None is the whole last axis.
        prior: p(codes); None is the uniform prior.
        usage_decay: the part of the running usage that each batch keeps, in [0, 1).
    """

    figure_names = ("perplexity", "used_codes")
    prior: CodePrior | None

    def __init__(
        self, code_dim: int | None, prior: CodePrior | None = None, *, usage_decay: float = USAGE_DECAY, **kwargs: Any
    ) -> None:
        super().__init__(prior, **kwargs)
        self.code_dim = code_dim
        self._decay = usage_decay
        self._code_shape: tuple[int, ...] | None = None

    def build(self, features_shape: Any) -> None:
        """Make the running usage and the prior.

        Raises:
            InputError: if the last axis is not a multiple of ``code_dim``, or the prior is for other codes.
        """
        super().build(features_shape)
        *positions, channels = self.latent_shape
        self.code_dim = self.code_dim or channels
        if channels % self.code_dim:
            raise InputError(f"{channels} latent channels cannot be cut into codes of {self.code_dim} channels")
        groups = channels // self.code_dim
        self._code_shape = (*positions, groups) if groups > 1 or not positions else tuple(positions)
        # Weights stay float32 where a model of mixed precision calls more than `call`.
        self.usage = self.add_weight((self.codebook_size,), "zeros", trainable=False, autocast=False, name="usage")
        if self.prior is None:
            self.prior = UniformCodes(self.codebook_size, self._code_shape, name="prior")
        expected, found = (self.codebook_size, self._code_shape), (self.prior.codebook_size, self.prior.code_shape)
        if found != expected:
            raise InputError(f"the prior is for {_described(*found)}, the bottleneck makes {_described(*expected)}")
        if not self.prior.built:
            self.prior.build((None, *self._code_shape))

    @property
    def codebook_size(self) -> int:
        """The number of different codes."""
        raise NotImplementedError

    @property
    def code_shape(self) -> tuple[int, ...] | None:
        """The shape of an image's codes; None until the layer is built."""
        return self._code_shape

    def call(self, features: Any) -> Latents:
        """Latents of features, float32 (N, *latent_shape)."""
        assert self.prior is not None
        vectors = self._project(self._rows(features))
        numbers = self._nearest(vectors)
        quantised = self._lookup(numbers)
        # In this order z is the code's vector to the last bit, since the difference is zero.
        z = ops.stop_gradient(quantised) + (vectors - ops.stop_gradient(vectors))
        codes = self._as_codes(numbers, features)
        return Latents(
            z=self._as_latents(z, features),
            kl=-self.prior.log_prob(codes),
            losses=self._training_losses(vectors, quantised),
            statistics=self._batch_statistics(ops.stop_gradient(vectors), numbers),
            codes=codes,
        )

    def posterior(self, features: Any) -> tuple[Any, Any]:
        z = self._as_latents(self._lookup(self._numbers(features)), features)
        return z, ops.full_like(z, LOG_VAR_MIN)

    def codes_of(self, features: Any) -> Any:
        """The codes, int32 (N, *code_shape), of features, float32 (N, *latent_shape).

        Features with another grid, of larger or smaller images, have codes with that grid.
        """
        return self._as_codes(self._numbers(features), features)

    def embed(self, codes: Any) -> Any:
        """The z, float32 (N, *latent_shape), of codes, integers (N, *code_shape) in [0, codebook_size).

        Raises:
            InputError: if they have another shape or dtype, or are out of range. The range is checked for arrays, not
                for tensors.
        """
        codes = codes if keras.ops.is_tensor(codes) else self._in_range(np.asarray(codes))
        dtype = keras.backend.standardize_dtype(codes.dtype)
        if not dtype.startswith(("int", "uint")):
            raise InputError(f"codes must be integers, got {dtype}")
        if len(codes.shape) != 1 + len(self._built_code_shape) or any(
            found not in (None, size) for found, size in zip(codes.shape[1:], self._built_code_shape, strict=True)
        ):
            raise InputError(f"codes must have the shape (N, {_csv(self._built_code_shape)}), got {tuple(codes.shape)}")
        return self._as_latents(self._lookup(ops.reshape(ops.cast(codes, "int32"), (-1,))), codes)

    def sample(self, count: int, seed: Any = None, labels: Any = None) -> Any:
        return self.embed(ops.convert_to_tensor(self._prior_draws(count, seed, labels)))

    def perplexity(self) -> Any:
        """The exponential of the running usage's entropy, a float32 scalar in [1, codebook_size].

        It is the number of codes that, used equally often, would carry as much information; 1 before the first batch.
        """
        shares = self._shares
        return ops.exp(-ops.sum(shares * ops.log(ops.where(shares > 0, shares, 1.0))))

    def used_codes(self) -> Any:
        """The part of the codes that are in use, a float32 scalar in [0, 1].

        A code is in use if its running usage is above 1% of an equal share.
        """
        return ops.mean(ops.cast(self._shares > IN_USE / self.codebook_size, "float32"))

    def figures(self) -> dict[str, Any]:
        return {"perplexity": self.perplexity(), "used_codes": self.used_codes()}

    def statistics_at_zero(self) -> dict[str, Any]:
        return {"usage": ops.zeros((self.codebook_size,), "float32")}

    def follow(self, statistics: dict[str, Any]) -> None:
        """Learn from a whole batch's ``statistics``; training calls this once a step.

        Statistics that are not all finite change nothing. A layer that is not ``trainable`` does not learn.
        """
        if not self.trainable:
            return
        is_finite = all_finite(statistics)
        known = {name: ops.where(is_finite, value, 0.0) for name, value in statistics.items()}
        for variable, value in self._learned(known):
            variable.assign(ops.where(is_finite, value, ops.convert_to_tensor(variable)))

    def _learned(self, statistics: dict[str, Any]) -> list[tuple[Any, Any]]:
        """Weights, each with the value that finite statistics give it."""
        return [(self.usage, self.usage + (1.0 - self._decay) * (statistics["usage"] - self.usage))]

    @property
    def _shares(self) -> Any:
        """The running usage, in parts of its sum; zeros before the first batch."""
        return self.usage / ops.maximum(ops.sum(self.usage), keras.config.epsilon())

    def _project(self, rows: Any) -> Any:
        raise NotImplementedError

    def _nearest(self, vectors: Any) -> Any:
        raise NotImplementedError

    def _lookup(self, numbers: Any) -> Any:
        raise NotImplementedError

    def _training_losses(self, vectors: Any, quantised: Any) -> dict[str, Any]:
        return {}

    def _batch_statistics(self, vectors: Any, numbers: Any) -> dict[str, Any]:
        # Codes of features that are not finite mean nothing.
        ones = ops.where(ops.all(ops.isfinite(vectors), axis=-1), 1.0, math.nan)
        return {"usage": self._mean_by_code(ones, numbers)}

    def _mean_by_code(self, values: Any, numbers: Any) -> Any:
        """For each code the sum of its ``values`` (P, ...), divided by P: a mean, so that parts of a batch average."""
        sums = ops.segment_sum(values, numbers, num_segments=self.codebook_size)
        return sums / ops.cast(ops.shape(values)[0], "float32")

    @property
    def _built_code_shape(self) -> tuple[int, ...]:
        assert self._code_shape is not None, "the layer is not built"
        return self._code_shape

    def _in_range(self, codes: Any) -> Any:
        if codes.size and not 0 <= codes.min() <= codes.max() < self.codebook_size:
            raise InputError(f"codes must be in [0, {self.codebook_size}), got {codes.min()} to {codes.max()}")
        return codes

    def _numbers(self, features: Any) -> Any:
        """The code of each row of the features."""
        return self._nearest(self._project(self._rows(features)))

    def _rows(self, features: Any) -> Any:
        return ops.reshape(ops.convert_to_tensor(features, "float32"), (-1, self.code_dim))

    def _as_codes(self, numbers: Any, features: Any) -> Any:
        grid = len(self.latent_shape) - 1
        return ops.reshape(numbers, (-1, *_sides(features, grid), *self._built_code_shape[grid:]))

    def _as_latents(self, rows: Any, features: Any) -> Any:
        return ops.reshape(rows, (-1, *_sides(features, len(self.latent_shape) - 1), self.latent_shape[-1]))


def _sides(maps: Any, count: int) -> tuple[Any, ...]:
    """The ``count`` sides of a batch's grid, as numbers where they are known."""
    return tuple(ops.shape(maps)[1 : 1 + count])


def all_finite(statistics: dict[str, Any]) -> Any:
    """Whether every number of every statistic is finite, a boolean scalar."""
    return ops.all(ops.stack([ops.all(ops.isfinite(value)) for value in statistics.values()]))


def _described(codebook_size: int, code_shape: tuple[int, ...]) -> str:
    return f"{'x'.join(map(str, code_shape))} codes of {codebook_size}"


def _csv(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
