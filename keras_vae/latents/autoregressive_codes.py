"""A learned prior over codes, which draws one after the other."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.latents.causal_transformer import CausalTransformer
from keras_vae.latents.code_prior import CodePrior
from keras_vae.layers.prior import normal_cdf


@keras.saving.register_keras_serializable(package="keras_vae")
class AutoregressiveCodes(CodePrior):
    """``p(codes[, label]) = Π_i p(code_i | code_1 … code_{i-1}[, label])``, each factor by a transformer.

    The codes' order is that of their rows. A new prior is uniform.

    A conditional prior learns with and without labels. `log_prob` is that without. Draws are guided as in
    classifier-free guidance (Ho & Salimans 2022), by the logarithms of the factors.

    Args:
        codebook_size, code_shape: as for `CodePrior`.
        width, num_layers, num_heads: as for `CausalTransformer`.
        num_classes: number of labels, None for a prior without.
        guidance: w in ``log p(code) + w · (log p(code | label) - log p(code))``; 1 draws from the labels' own
            distribution.
        label_dropout: share of the labels that training leaves out.

    Reference: van den Oord et al. 2017, "Neural Discrete Representation Learning", section 3.3, whose network was a
    PixelCNN; with a transformer, Esser et al. 2021, "Taming Transformers for High-Resolution Image Synthesis".
    """

    def __init__(
        self,
        codebook_size: int,
        code_shape: tuple[int, ...],
        width: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        num_classes: int | None = None,
        *,
        guidance: float = 1.0,
        label_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(codebook_size, code_shape, **kwargs)
        self.num_classes = num_classes
        self.guidance = guidance
        self.label_dropout = label_dropout
        self.length = math.prod(self.code_shape)
        self.transformer = CausalTransformer(self.length, width, num_layers, num_heads, name="transformer")
        # The first token stands before the codes: that of the label, or of none.
        self.label_tokens = self._table((num_classes or 0) + 1, "label_tokens")
        self.code_tokens = self._table(codebook_size, "code_tokens")
        self.positions = self._table(self.length, "positions")
        self.head = keras.layers.Dense(codebook_size, kernel_initializer="zeros", dtype="float32", name="head")
        with keras.name_scope(self.name):
            self.transformer.build((None, self.length, width))
            self.head.build((None, None, width))

    def _table(self, rows: int, name: str) -> Any:
        return self.add_weight((rows, self.width), _SMALL, dtype="float32", autocast=False, name=name)

    @property
    def width(self) -> int:
        """Size of a token."""
        return self.transformer.width

    def log_prob(self, codes: Any) -> Any:
        return self._log_prob(codes, None)

    def fitting_loss(self, codes: Any, labels: Any = None, seed: Any = None) -> Any:
        """``-log p(codes[, label])`` in nats, the mean over codes int32 (N, *code_shape): a float32 scalar."""
        if self.num_classes is None:
            labels = None
        else:
            uniform = keras.random.uniform(ops.shape(codes)[:1], seed=seed)
            labels = ops.where(uniform < self.label_dropout, self.num_classes, ops.cast(labels, "int32"))
        return -ops.mean(self._log_prob(codes, labels))

    def _log_prob(self, codes: Any, labels: Any) -> Any:
        codes = ops.reshape(ops.cast(codes, "int32"), (-1, self.length))
        first = self._first_token(labels, ops.shape(codes)[0])[:, None, :]
        tokens = ops.concatenate([first, ops.take(self.code_tokens, codes[:, :-1], axis=0)], axis=1)
        logits = self.head(self.transformer(tokens + self.positions))
        chosen = ops.take_along_axis(logits, codes[:, :, None], axis=-1)[:, :, 0]
        return ops.sum(chosen - ops.logsumexp(logits, axis=-1), axis=1)

    def draw(self, noise: Any, labels: Any = None) -> Any:
        """Draws, int32 (N, *code_shape), made of draws from N(0, I), float32 (N, *code_shape).

        A conditional prior takes labels, int32 (N,), ``num_classes`` for none; without them it draws of all classes.
        """
        uniform = ops.reshape(normal_cdf(noise), (-1, self.length))
        count = ops.shape(uniform)[0]
        is_guided = labels is not None and self.guidance != 1
        # The second half of the rows goes without labels.
        first = self._first_token(labels, count)
        if is_guided:
            first = ops.concatenate([first, self._first_token(None, count)], axis=0)
        is_position = ops.eye(self.length)

        def step(index: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            codes, token, *memory = state
            here = ops.take(is_position, index, axis=0)
            output, memory = self.transformer.step(token + ops.take(self.positions, index, axis=0), index, memory)
            logits = self.head(output)
            if is_guided:
                with_label, without = ops.split(ops.log_softmax(logits), 2, axis=0)
                logits = without + self.guidance * (with_label - without)
            code = _inverse_distribution(ops.softmax(logits), ops.sum(uniform * here, axis=1))
            token = ops.take(self.code_tokens, ops.concatenate([code, code]) if is_guided else code, axis=0)
            return codes + code[:, None] * ops.cast(here, "int32"), token, *memory

        state = (ops.zeros_like(uniform, dtype="int32"), first, *self.transformer.no_memory(ops.shape(first)[0]))
        codes = ops.fori_loop(0, self.length, step, state)[0]
        return ops.reshape(codes, (-1, *self.code_shape))

    def _first_token(self, labels: Any, count: Any) -> Any:
        """(count, width), of labels (count,) or of none."""
        if labels is None:
            return ops.broadcast_to(self.label_tokens[-1:], (count, self.width))
        return ops.take(self.label_tokens, ops.cast(labels, "int32"), axis=0)

    def get_config(self) -> dict[str, Any]:
        of_transformer = {name: getattr(self.transformer, name) for name in ("width", "num_layers", "num_heads")}
        own = {name: getattr(self, name) for name in ("num_classes", "guidance", "label_dropout")}
        return {**super().get_config(), **of_transformer, **own}


_SMALL = keras.initializers.RandomNormal(stddev=0.02)


def _inverse_distribution(probabilities: Any, uniform: Any) -> Any:
    """The least number, int32 (N,), whose cumulative probability, of probabilities (N, K), reaches ``uniform`` (N,)."""
    cumulative = ops.cumsum(probabilities, axis=-1)
    # In parts of their sum as computed, so that rounding never chooses a number of probability 0.
    return ops.sum(ops.cast(cumulative < uniform[:, None] * cumulative[:, -1:], "int32"), axis=-1)
