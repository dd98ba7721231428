"""Attention over the positions of a feature map: to themselves, or to context tokens."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.layers.normalization import GroupNorm, check_groups

# Of an image at a time: 64 MB in float32, which 4,096 positions of one head have.
MOST_LOGITS = 1 << 24


class _Attention2D(keras.layers.Layer):
    """The common part of both: ``y = x + out(softmax(q·kᵀ / √d)·v)`` over the positions of ``x``, head by head."""

    def __init__(self, num_heads: int = 2, groups: int = 8, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.groups = groups
        self.epsilon = epsilon
        self.norm = GroupNorm(groups, epsilon, dtype=self.dtype_policy, name="norm")

    def _build_ends(self, input_shape: Any) -> None:
        """The normalisation before and the projection after the attention."""
        width = input_shape[-1]
        owner = type(self).__name__
        check_groups(owner, self.groups, width)
        if width % self.num_heads:
            raise ValueError(f"{owner}: num_heads={self.num_heads} does not divide the width {width}")
        self.norm.build(input_shape)
        self.out = self._projection(width, width, "out")

    def _projection(self, width_in: int, width_out: int, name: str) -> keras.layers.Dense:
        dense = keras.layers.Dense(width_out, dtype=self.dtype_policy, name=name)
        dense.build((None, None, width_in))
        return dense

    def _positions(self, inputs: Any) -> Any:
        """(N, H, W, C) → normalised (N, H·W, C)."""
        return ops.reshape(self.norm(inputs), (-1, *_flat(inputs)))

    def _heads(self, tokens: Any, parts: int) -> list[Any]:
        """(N, T, parts·C) → ``parts`` times (N, T, heads, C / heads)."""
        count, width = tokens.shape[1:]
        shape = (-1, count, self.num_heads, width // parts // self.num_heads)
        # Split instead of sliced: on CPU the gradient of a slice takes as long as the attention itself.
        return [ops.reshape(part, shape) for part in ops.split(tokens, parts, axis=-1)]

    def _attend(self, inputs: Any, query: Any, key: Any, value: Any) -> Any:
        attended = ops.reshape(_attention_in_chunks(query, key, value), (-1, *_flat(inputs)))
        return inputs + ops.reshape(self.out(attended), (-1, *inputs.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "groups": self.groups,
            "epsilon": self.epsilon,
        }


def _attention_in_chunks(query: Any, key: Any, value: Any) -> Any:
    """`_attention`, which needs no more memory for more queries: above `MOST_LOGITS` they go in equal chunks."""
    count, heads, size = query.shape[1:]
    chunks = math.ceil(count * key.shape[1] * heads / MOST_LOGITS)
    if chunks == 1:
        return _attention(query, key, value)
    each = math.ceil(count / chunks)
    chunks = math.ceil(count / each)
    # What fills the last chunk attends too, and is cut off: no query sees another.
    query = ops.pad(query, [(0, 0), (0, chunks * each - count), (0, 0), (0, 0)])
    query = ops.transpose(ops.reshape(query, (-1, chunks, each, heads, size)), (1, 0, 2, 3, 4))
    attended = ops.map(lambda chunk: _attention(chunk, key, value), query)
    attended = ops.transpose(attended, (1, 0, 2, 3, 4))
    return ops.reshape(attended, (-1, chunks * each, heads, size))[:, :count]


def _attention(query: Any, key: Any, value: Any) -> Any:
    """`keras.ops.dot_product_attention`: (N, T, heads, d), (N, S, heads, d), (N, S, heads, d) → (N, T, heads, d)."""
    # With a single token all weights are 1, and `ops.softmax` below would warn.
    if keras.backend.backend() != "tensorflow" or key.shape[1] == 1:
        return ops.dot_product_attention(query, key, value)
    # TensorFlow has no fused kernel, and on CPU Keras's einsum takes up to 1.5 times as long as these products.
    query, value = (ops.transpose(heads, (0, 2, 1, 3)) for heads in (query, value))
    key = ops.transpose(key, (0, 2, 3, 1)) * query.shape[-1] ** -0.5
    logits = ops.matmul(query, key)
    weights = ops.softmax(ops.cast(logits, keras.backend.result_type(logits.dtype, "float32")))
    attended = ops.matmul(ops.cast(weights, value.dtype), value)
    return ops.transpose(attended, (0, 2, 1, 3))


def _flat(inputs: Any) -> tuple[int, int]:
    """(H·W, C) of a feature map."""
    _, height, width, channels = inputs.shape
    return height * width, channels


@keras.saving.register_keras_serializable(package="keras_vae")
class SelfAttention2D(_Attention2D):
    """Residual multi-head self-attention over the H·W positions of a feature map.

    Input and output (N, H, W, C). H and W must be known. Time grows as (H·W)², memory too up to `MOST_LOGITS` attention
    weights of an image; above, positions take their turn in chunks, with the same result. A gradient needs all weights.

    Args:
        num_heads: heads; must divide C.
        groups: groups of the normalisation before the projections; must divide C.
        epsilon: added to the normalisation's variance.

    Raises:
        ValueError: when ``num_heads`` or ``groups`` does not divide C; the message names both numbers.

    Reference: Vaswani et al. 2017, "Attention Is All You Need"; on feature maps as in Ho et al. 2020, "Denoising
    Diffusion Probabilistic Models", appendix B.
    """

    def build(self, input_shape: Any) -> None:
        self._build_ends(input_shape)
        self.query_key_value = self._projection(input_shape[-1], 3 * input_shape[-1], "query_key_value")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self._attend(inputs, *self._heads(self.query_key_value(self._positions(inputs)), 3))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="keras_vae")
class CrossAttention2D(_Attention2D):
    """Residual multi-head attention from the H·W positions of a feature map to context tokens.

    Inputs (N, H, W, C) and context (N, T, D); output (N, H, W, C). H, W and T must be known.

    Args:
        num_heads: heads; must divide C.
        groups: groups of the normalisation of the feature map; must divide C.
        epsilon: added to the normalisation's variance.

    Raises:
        ValueError: when ``num_heads`` or ``groups`` does not divide C; the message names both numbers.

    Reference: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.3; as conditioning in Rombach et al. 2022,
    "High-Resolution Image Synthesis with Latent Diffusion Models", section 3.3.
    """

    def build(self, inputs_shape: Any, context_shape: Any) -> None:
        self._build_ends(inputs_shape)
        self.query = self._projection(inputs_shape[-1], inputs_shape[-1], "query")
        self.key_value = self._projection(context_shape[-1], 2 * inputs_shape[-1], "key_value")
        self.built = True

    def call(self, inputs: Any, context: Any) -> Any:
        (query,) = self._heads(self.query(self._positions(inputs)), 1)
        return self._attend(inputs, query, *self._heads(self.key_value(context), 2))

    def compute_output_shape(self, inputs_shape: Any, context_shape: Any) -> Any:
        return inputs_shape
