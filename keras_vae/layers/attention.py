"""Attention over the positions of a feature map: to themselves, or to context tokens."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_vae.layers.normalization import GroupNorm, check_groups


class _Attention2D(keras.layers.Layer):
    """``y = x + out(attention(query(norm(x)), key(c), value(c)))`` over the H·W positions of ``x``; ``c`` is the subclass's.

    Attention is ``softmax(q·kᵀ / √d)·v`` per head, computed by `keras.ops.dot_product_attention`, which picks a fused
    kernel where the backend has one.
    """

    def __init__(self, num_heads: int = 2, groups: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.groups = groups
        self.norm = GroupNorm(groups, name="norm")

    def _build_projections(self, input_shape: Any, context_width: int) -> None:
        width = input_shape[-1]
        owner = type(self).__name__
        check_groups(owner, self.groups, width)
        if width % self.num_heads:
            raise ValueError(f"{owner}: num_heads={self.num_heads} does not divide the width {width}")
        self.norm.build(input_shape)
        self.query, self.key, self.value, self.out = (
            keras.layers.Dense(width, name=name) for name in ("query", "key", "value", "out")
        )
        self.query.build((None, None, width))
        self.key.build((None, None, context_width))
        self.value.build((None, None, context_width))
        self.out.build((None, None, width))
        self.built = True

    def _attend(self, inputs: Any, positions: Any, context: Any) -> Any:
        """``inputs`` (N, H, W, C), ``positions`` (N, H·W, C) normalised, ``context`` (N, T, D) → (N, H, W, C)."""
        query, key, value = (
            ops.reshape(tokens, (-1, tokens.shape[1], self.num_heads, inputs.shape[-1] // self.num_heads))
            for tokens in (self.query(positions), self.key(context), self.value(context))
        )
        attended = ops.dot_product_attention(query, key, value)
        hidden = self.out(ops.reshape(attended, (-1, *positions.shape[1:])))
        return inputs + ops.reshape(hidden, (-1, *inputs.shape[1:]))

    def _positions(self, inputs: Any) -> Any:
        _, height, width, channels = inputs.shape
        return ops.reshape(self.norm(inputs), (-1, height * width, channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_heads": self.num_heads, "groups": self.groups}


@keras.saving.register_keras_serializable(package="keras_vae")
class SelfAttention2D(_Attention2D):
    """Residual multi-head self-attention over the H·W positions of a feature map.

    Input and output (N, H, W, C). Memory grows as (H·W)² where the backend has no fused kernel, so it belongs at low
    resolutions. H and W must be known.

    Args:
        num_heads: heads; must divide C.
        groups: groups of the normalisation before the projections; must divide C.

    Raises:
        ValueError: when ``num_heads`` or ``groups`` does not divide C; the message names both numbers.

    Reference: Vaswani et al. 2017, "Attention Is All You Need"; on feature maps as in Ho et al. 2020, "DDPM", appendix B.
    """

    def build(self, input_shape: Any) -> None:
        self._build_projections(input_shape, input_shape[-1])

    def call(self, inputs: Any) -> Any:
        positions = self._positions(inputs)
        return self._attend(inputs, positions, positions)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="keras_vae")
class CrossAttention2D(_Attention2D):
    """Residual multi-head attention from the H·W positions of a feature map to context tokens.

    Inputs (N, H, W, C) and context (N, T, D); output (N, H, W, C). H, W and T must be known.

    Args:
        num_heads: heads; must divide C.
        groups: groups of the normalisation of the feature map; must divide C.

    Raises:
        ValueError: when ``num_heads`` or ``groups`` does not divide C; the message names both numbers.

    Reference: Vaswani et al. 2017, section 3.2.3; as conditioning in Rombach et al. 2022, "Latent Diffusion", section 3.3.
    """

    def build(self, inputs_shape: Any, context_shape: Any) -> None:
        self._build_projections(inputs_shape, context_shape[-1])

    def call(self, inputs: Any, context: Any) -> Any:
        return self._attend(inputs, self._positions(inputs), context)

    def compute_output_shape(self, inputs_shape: Any, context_shape: Any) -> Any:
        return inputs_shape
