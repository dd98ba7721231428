"""The levels of the U-Net-inspired encoder and decoder: down, middle and up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_vae.layers.attention import CrossAttention2D, SelfAttention2D
from keras_vae.layers.residual import ResidualBlock


class _Block(keras.layers.Layer):
    """``num_layers`` × (residual → self-attention → cross-attention, as asked for), then the subclass's resampling.

    To change the layers of a level, set ``residual_class`` or override `make_body` or `make_resampling` in a subclass.
    Pass ``dtype=self.dtype_policy`` to the layers made there, so that they compute in the block's policy.
    """

    residual_class: type[keras.layers.Layer] = ResidualBlock
    # Set for training, and no part of the model: compute the activations inside the layers again for the gradient
    # instead of keeping them (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
    recompute: bool = False

    def __init__(
        self,
        filters: int,
        num_layers: int = 1,
        *,
        self_attention: bool = False,
        cross_attention: bool = False,
        num_heads: int = 2,
        groups: int = 8,
        epsilon: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.num_layers = num_layers
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.num_heads = num_heads
        self.groups = groups
        self.epsilon = epsilon
        self.body = self.make_body()
        self.resampling = self.make_resampling()

    def make_body(self) -> list[keras.layers.Layer]:
        """The layers at the level's own resolution, in order."""
        attention = {"num_heads": self.num_heads, **self._normalization}
        body = []
        for index in range(self.num_layers):
            body.append(self._residual(index))
            if self.self_attention:
                body.append(SelfAttention2D(**attention, name=f"self_attention_{index}"))
            if self.cross_attention:
                body.append(CrossAttention2D(**attention, name=f"cross_attention_{index}"))
        return body

    def _residual(self, index: int) -> keras.layers.Layer:
        return self.residual_class(self.filters, **self._normalization, name=f"residual_{index}")

    @property
    def _normalization(self) -> dict[str, Any]:
        """What every layer of the body takes. A `residual_class` need not know an epsilon that nobody sets."""
        epsilon = {} if self.epsilon is None else {"epsilon": self.epsilon}
        return {"groups": self.groups, **epsilon, "dtype": self.dtype_policy}

    def make_resampling(self) -> keras.layers.Layer | None:
        """The last layer, which changes the resolution; None keeps the resolution."""
        return None

    def build(self, inputs_shape: Any, context_shape: Any = None) -> None:
        if self.cross_attention and context_shape is None:
            owner = type(self).__name__
            raise ValueError(f"{owner}: cross_attention=True needs context tokens (N, T, D), got none")
        for layer in self.body:
            if isinstance(layer, CrossAttention2D):
                layer.build(inputs_shape, context_shape)
            else:
                layer.build(inputs_shape)
                inputs_shape = layer.compute_output_shape(inputs_shape)
        if self.resampling is not None:
            self.resampling.build(inputs_shape)
        self.built = True

    def call(self, inputs: Any, context: Any = None) -> Any:
        hidden = inputs
        for layer in self.body:
            inputs = (hidden, context) if isinstance(layer, CrossAttention2D) else (hidden,)
            hidden = _recomputed(layer)(*inputs) if self.recompute else layer(*inputs)
        return hidden if self.resampling is None else self.resampling(hidden)

    def compute_output_shape(self, inputs_shape: Any, context_shape: Any = None) -> Any:
        shape = (*inputs_shape[:-1], self.filters)
        return shape if self.resampling is None else self.resampling.compute_output_shape(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "num_layers": self.num_layers,
            "self_attention": self.self_attention,
            "cross_attention": self.cross_attention,
            "num_heads": self.num_heads,
            "groups": self.groups,
            "epsilon": self.epsilon,
        }


def _recomputed(layer: keras.layers.Layer) -> Callable[..., Any]:
    # TensorFlow needs a function with a name.
    return keras.remat(lambda *inputs: layer(*inputs))


@keras.saving.register_keras_serializable(package="keras_vae")
class DownBlock(_Block):
    """One level of the encoder: (N, H, W, C) → (N, ⌈H/2⌉, ⌈W/2⌉, filters).

    Args:
        filters: width of the output.
        num_layers: how many times the residual block and the attentions after it are repeated.
        downsample: halve the resolution at the end by a 4×4 convolution with stride 2; False keeps it.
        self_attention: attend to the level's own positions after each residual block.
        cross_attention: attend to ``context`` tokens (N, T, D) after that; ``call`` then needs them.
        num_heads: heads of both attentions; must divide ``filters``.
        groups: groups of every normalisation; must divide the widths.
        epsilon: added to every normalisation's variance; None for what the layers have by default.

    Raises:
        ValueError: when ``groups`` or ``num_heads`` does not divide a width, or when the context is missing.
    """

    def __init__(self, filters: int, num_layers: int = 1, *, downsample: bool = True, **kwargs: Any) -> None:
        self.downsample = downsample
        super().__init__(filters, num_layers, **kwargs)

    def make_resampling(self) -> keras.layers.Layer | None:
        if not self.downsample:
            return None
        return keras.layers.Conv2D(
            self.filters, 4, strides=2, padding="same", dtype=self.dtype_policy, name="downsample"
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "downsample": self.downsample}


@keras.saving.register_keras_serializable(package="keras_vae")
class MidBlock(_Block):
    """The middle level: (N, H, W, C) → (N, H, W, filters), with one more residual block at the end.

    Arguments and errors as for `DownBlock`, without the resampling.
    """

    def make_body(self) -> list[keras.layers.Layer]:
        return [*super().make_body(), self._residual(self.num_layers)]


@keras.saving.register_keras_serializable(package="keras_vae")
class UpBlock(_Block):
    """One level of the decoder: (N, H, W, C) → (N, 2H, 2W, filters).

    Arguments and errors as for `DownBlock`. ``upsample`` doubles the resolution at the end by a 4×4 transposed
    convolution with stride 2, which divides the kernel, so that every pixel gets equally many taps. False keeps the
    resolution.
    """

    def __init__(self, filters: int, num_layers: int = 1, *, upsample: bool = True, **kwargs: Any) -> None:
        self.upsample = upsample
        super().__init__(filters, num_layers, **kwargs)

    def make_resampling(self) -> keras.layers.Layer | None:
        if not self.upsample:
            return None
        return keras.layers.Conv2DTranspose(
            self.filters, 4, strides=2, padding="same", dtype=self.dtype_policy, name="upsample"
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "upsample": self.upsample}
