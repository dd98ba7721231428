"""A small transformer over a sequence, whose positions see themselves and what comes before."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class CausalTransformer(keras.layers.Layer):
    """Tokens (N, length, width) → (N, length, width), float32.

    `step` computes one position from the keys and values of those before it, so that a draw of the whole sequence costs
    about as much as one call.

    Args:
        length: tokens of the sequence.
        width: size of a token.
        num_layers: blocks: attention and a network of two layers, each after a normalisation and with a residual.
        num_heads: heads of every attention; must divide ``width``.

    Raises:
        ValueError: if ``num_heads`` does not divide ``width``.

    Reference: Vaswani et al. 2017, "Attention Is All You Need"; normalised before each part, as in Radford et al. 2019,
    "Language Models are Unsupervised Multitask Learners".
    """

    def __init__(self, length: int, width: int = 128, num_layers: int = 4, num_heads: int = 4, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if width % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide the width {width}")
        self.length = length
        self.width = width
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.blocks = [_Block(width, num_heads, dtype="float32", name=f"block_{index}") for index in range(num_layers)]
        self.norm = keras.layers.LayerNormalization(dtype="float32", name="norm")

    def build(self, tokens_shape: Any) -> None:
        for part in (*self.blocks, self.norm):
            part.build((None, self.length, self.width))

    def call(self, tokens: Any) -> Any:
        is_later = np.triu(np.ones((self.length, self.length), bool), k=1)
        for block in self.blocks:
            tokens = block(tokens, is_later)
        return self.norm(tokens)

    def no_memory(self, count: Any) -> list[Any]:
        """The memory of `step` before the first position of ``count`` sequences: keys and values of every block."""
        return [ops.zeros((count, self.length, self.width), "float32") for _ in range(2 * self.num_layers)]

    def step(self, token: Any, position: Any, memory: list[Any]) -> tuple[Any, list[Any]]:
        """What a call gives at ``position``, an int32 scalar, for its token (N, width); and the memory with it."""
        is_later = (ops.arange(self.length) > position)[None, :]
        is_here = ops.cast(ops.arange(self.length) == position, "float32")[None, :, None]
        token, remembered = token[:, None, :], []
        for block, keys, values in zip(self.blocks, memory[::2], memory[1::2], strict=True):
            query, key, value = block.query_key_value(token)
            # A sum, since not every backend writes into a tensor.
            keys, values = keys + is_here * key, values + is_here * value
            token = block.rest(token, query, keys, values, is_later)
            remembered += [keys, values]
        return self.norm(token)[:, 0], remembered

    def get_config(self) -> dict[str, Any]:
        names = ("length", "width", "num_layers", "num_heads")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class _Block(keras.layers.Layer):
    """Attention and a network of two layers, in parts that a whole sequence and a single step share."""

    def __init__(self, width: int, num_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.norms = [keras.layers.LayerNormalization(dtype="float32", name=f"norm_{index}") for index in range(2)]
        self.to_heads = keras.layers.Dense(3 * width, dtype="float32", name="query_key_value")
        self.out = keras.layers.Dense(width, dtype="float32", name="out")
        self.hidden = keras.layers.Dense(4 * width, activation="gelu", dtype="float32", name="hidden")
        self.head = keras.layers.Dense(width, dtype="float32", name="head")

    def build(self, tokens_shape: Any, is_later_shape: Any = None) -> None:
        width = tokens_shape[-1]
        for layer in (*self.norms, self.to_heads, self.out, self.hidden):
            layer.build((None, None, width))
        self.head.build((None, None, 4 * width))

    def call(self, tokens: Any, is_later: Any) -> Any:
        query, keys, values = self.query_key_value(tokens)
        return self.rest(tokens, query, keys, values, is_later)

    def query_key_value(self, tokens: Any) -> list[Any]:
        """Of tokens (N, T, width), each (N, T, width)."""
        parts: list[Any] = ops.split(self.to_heads(self.norms[0](tokens)), 3, axis=-1)
        return parts

    def rest(self, tokens: Any, query: Any, keys: Any, values: Any, is_later: Any) -> Any:
        """What follows: tokens (N, T, width) attend to keys and values (N, S, width) unless ``is_later``, (T, S)."""
        query, keys, values = (self._heads(part) for part in (query, keys, values))
        logits = ops.matmul(query, ops.swapaxes(keys, 2, 3)) * query.shape[-1] ** -0.5
        # Of a single key `ops.softmax` warns.
        weights = ops.exp(ops.log_softmax(ops.where(is_later, -1e9, logits), axis=-1))
        attended = ops.swapaxes(ops.matmul(weights, values), 1, 2)
        tokens = tokens + self.out(ops.reshape(attended, (-1, *tokens.shape[1:])))
        return tokens + self.head(self.hidden(self.norms[1](tokens)))

    def _heads(self, tokens: Any) -> Any:
        """(N, T, width) → (N, heads, T, width / heads)."""
        _, length, width = tokens.shape
        return ops.swapaxes(ops.reshape(tokens, (-1, length, self.num_heads, width // self.num_heads)), 1, 2)
