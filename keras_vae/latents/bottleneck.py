"""The contract of a bottleneck, which stands between encoder and decoder."""

from __future__ import annotations

from typing import Any, ClassVar, NotRequired, TypedDict

import keras

from keras_vae.errors import InputError
from keras_vae.latents.code_prior import CodePrior
from keras_vae.layers import Prior

# Bounds of log σ², as in Rombach et al. 2022: beyond them, exp() leaves the range that float32 training can use. A z
# that is certain has the lower one.
LOG_VAR_MIN, LOG_VAR_MAX = -30.0, 20.0


class Latents(TypedDict):
    """What a bottleneck makes of the encoder's features of N images.

    Args:
        z: what the decoder takes, float32 (N, *latent_shape).
        kl: float32 (N,), nats: the KL of the posterior to the prior, which for codes is ``-log p(codes)``.
        kl_per_dimension: float32 (N, *latent_shape), whose sum ``kl`` is; left out if the KL is no such sum.
        losses: float32 scalars that training adds to its loss, by name, in nats per image.
        statistics: float32 means over the N images, by name, for `Bottleneck.follow`.
        codes: int32 (N, *code_shape), if the bottleneck has codes.
    """

    z: Any
    kl: Any
    kl_per_dimension: NotRequired[Any]
    losses: NotRequired[dict[str, Any]]
    statistics: NotRequired[dict[str, Any]]
    codes: NotRequired[Any]


class Bottleneck(keras.layers.Layer):
    """Base of bottlenecks, which make latents of an encoder's features.

    The encoder ends in one head for each name in ``heads``. Each head gives features, float32 (N, *latent_shape), and
    the bottleneck is called with all of them. It computes in float32 under every policy.

    A subclass defines `call`, `posterior` and `sample`. The latent's shape is known in `build`, where a subclass makes
    its weights and calls the base's `build`. A call changes nothing but the state of a random generator: what a batch
    teaches besides the gradients goes through ``statistics`` and `follow`, so that a batch in parts or on several
    devices teaches the same.

    Args:
        prior: for draws of new latents and for the KL: a `Prior` p(z), by default N(0, I), or a `CodePrior`.
    """

    heads: ClassVar[tuple[str, ...]] = ("features",)
    is_stochastic: ClassVar[bool] = False
    """Whether a call draws noise, so that the posterior has a variance."""
    figure_names: ClassVar[tuple[str, ...]] = ()
    """The names of the `figures`."""

    def __init__(self, prior: Prior | CodePrior | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.prior: Any = prior

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Take the shapes of the features, (N, *latent_shape) of each head."""
        self.latent_shape = tuple(args[0][1:])

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of z, which a model's summary shows."""
        return (None, *self.latent_shape)

    @property
    def loss_names(self) -> tuple[str, ...]:
        """The names of the ``losses`` of a call."""
        return ()

    @property
    def code_shape(self) -> tuple[int, ...] | None:
        """The shape of an image's codes; None if the bottleneck has none."""
        return None

    @property
    def codebook_size(self) -> int:
        """The number of different codes; 0 if the bottleneck has none."""
        return 0

    def codes_of(self, *args: Any) -> Any:
        """The codes, int32 (N, *code_shape), of the features.

        Raises:
            InputError: if the bottleneck has none.
        """
        raise InputError(f"{type(self).__name__} has no codes")

    def embed(self, codes: Any) -> Any:
        """The z, float32 (N, *latent_shape), of codes, integers (N, *code_shape).

        Raises:
            InputError: if the bottleneck has none, or for codes that are not such.
        """
        raise InputError(f"{type(self).__name__} has no codes")

    def call(self, *args: Any, **kwargs: Any) -> Latents:
        """Latents of the features. A stochastic bottleneck also takes its noise, ``epsilon`` (N, *latent_shape)."""
        raise NotImplementedError

    def posterior(self, *args: Any) -> tuple[Any, Any]:
        """``(mean, log_var)`` of z, each float32 (N, *latent_shape). A point has the ``log_var`` ``LOG_VAR_MIN``."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int | None:
        """Number of labels of a prior that can be drawn from by class."""
        return None if self.prior is None else self.prior.num_classes

    def sample(self, count: int, seed: Any = None, labels: Any = None) -> Any:
        """``count`` draws of z from the prior, float32 (count, *latent_shape); the same for the same seed.

        Labels, int32 (count,), are for a prior with ``num_classes``.
        """
        raise NotImplementedError

    def _prior_draws(self, count: int, seed: Any, labels: Any) -> Any:
        """Draws of the prior. One without ``num_classes`` need not know of labels."""
        return self.prior.sample(count, seed) if self.num_classes is None else self.prior.sample(count, seed, labels)

    def log_ratio(self, *args: Any) -> Any:
        """``log q(z|x) - log p(z)`` of the features and z, for which N rows are given: (N,) nats, float32.

        Raises:
            InputError: if the posterior has no density.
        """
        raise InputError(f"{type(self).__name__} has no posterior density, so importance sampling is not possible")

    def noise(self, shape: tuple[Any, ...]) -> Any:
        """What a call of a stochastic bottleneck takes as ``epsilon``, for latents of ``shape``."""
        raise NotImplementedError

    def statistics_at_zero(self) -> dict[str, Any]:
        """Zeros that are shaped like the ``statistics`` of a call."""
        return {}

    def follow(self, statistics: dict[str, Any]) -> None:
        """Learn from a whole batch's ``statistics``; training calls this once a step."""

    def figures(self) -> dict[str, Any]:
        """Float32 scalars about what `follow` has learnt, by name, which training reports."""
        return {}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prior": keras.saving.serialize_keras_object(self.prior)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Bottleneck:
        return cls(**{**config, "prior": keras.saving.deserialize_keras_object(config["prior"])})
