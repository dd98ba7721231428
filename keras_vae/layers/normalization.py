"""The group normalisation of every block, and the check of its groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.layers.graph_memory import free_gradients_with_their_graphs


@keras.saving.register_keras_serializable(package="keras_vae")
class GroupNorm(keras.layers.GroupNormalization):
    """`keras.layers.GroupNormalization` of feature maps (N, H, W, C), with fewer passes over them.

    Same arguments, weights and result as Keras's on the last axis, with other defaults for ``groups`` and ``epsilon``.
    One pass takes the mean and the mean square of each channel, which are combined over the channels of a group and
    folded into one multiply-add. The variance is ``E[x²] - E[x]²``. Everything is computed in float32, under the mixed
    policies too; only the result is cast. The gradient is written out as ``dx = dy·scale + x·slope + offset``, where
    slope and offset are constant within a group.

    Args:
        groups: groups of channels; must divide C.
        epsilon: added to the variance.
        activation: "silu" applies ``y·sigmoid(y)`` before the result is cast, which saves passes; or None.

    Raises:
        ValueError: when ``activation`` is unknown.

    Reference: Wu & He 2018, "Group Normalization".
    """

    def __init__(self, groups: int = 8, epsilon: float = 1e-5, activation: str | None = None, **kwargs: Any) -> None:
        super().__init__(groups=groups, epsilon=epsilon, **kwargs)
        if activation not in (None, "silu"):
            raise ValueError(f"GroupNorm: activation must be silu or None, got {activation!r}")
        self.activation = activation

    def call(self, inputs: Any) -> Any:
        wide = keras.backend.result_type(inputs.dtype, "float32")
        channels = inputs.shape[-1]
        gamma = ops.ones(channels, wide) if self.gamma is None else ops.cast(self.gamma, wide)
        beta = ops.zeros(channels, wide) if self.beta is None else ops.cast(self.beta, wide)
        # The value of a variable: TensorFlow's custom gradients do not take the variable itself.
        inputs = ops.cast(inputs, inputs.dtype)
        outputs = ops.custom_gradient(self._normalize)(inputs, gamma, beta)
        free_gradients_with_their_graphs()
        return outputs

    def _normalize(self, inputs: Any, gamma: Any, beta: Any) -> tuple[Any, Callable[..., Any]]:
        """The result, and the function from its gradient to the gradients of the arguments."""
        channels = inputs.shape[-1]
        each = channels // self.groups
        x = ops.cast(inputs, gamma.dtype)
        gamma = ops.reshape(gamma, (self.groups, each))

        def mean_of_positions(values: Any) -> Any:
            return ops.reshape(ops.mean(values, axis=(1, 2)), (-1, self.groups, each))

        def mean_of_group(values: Any) -> Any:
            return ops.mean(values, axis=-1, keepdims=True)

        def to_positions(values: Any) -> Any:
            return ops.reshape(values, (-1, 1, 1, channels))

        mean = mean_of_group(mean_of_positions(x))
        variance = mean_of_group(mean_of_positions(ops.square(x))) - ops.square(mean)
        # With a constant input, rounding can make E[x²] - E[x]² negative.
        inverse = ops.rsqrt(ops.maximum(variance, 0.0) + self.epsilon)
        group_scale = inverse * gamma
        shift = ops.reshape(beta, (self.groups, each)) - mean * group_scale
        scale = to_positions(group_scale)
        y = x * scale + to_positions(shift)
        if self.activation is not None:
            sigmoid = ops.sigmoid(y)
            y = y * sigmoid

        def gradients(*arguments: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            dy = ops.cast(arguments[0] if upstream is None else upstream, x.dtype)
            if self.activation is not None:
                dy = dy * (sigmoid + y * (1.0 - sigmoid))
            # The means of the gradient, and of its product with the normalised input, over positions and groups. What
            # is done to both is done once: a step's graph holds hundreds of these, and takes seconds to prepare.
            dy_mean = mean_of_positions(dy)
            product_mean = (mean_of_positions(dy * x) - mean * dy_mean) * inverse
            means = ops.stack([product_mean, dy_mean])
            product_group_mean, dy_group_mean = ops.unstack(mean_of_group(gamma * means))
            slope = -ops.square(inverse) * product_group_mean
            slope = ops.where(variance < 0.0, 0.0, slope)
            offset = -mean * slope - inverse * dy_group_mean
            # Repeats a group's number for each of its channels; `ops.repeat` would be thirty operations in a graph.
            repeated = ops.stack([slope, offset]) * ops.convert_to_tensor(np.ones(each, "float32"), x.dtype)
            slope, offset = ops.unstack(ops.reshape(repeated, (2, -1, 1, 1, channels)))
            dx = dy * scale + x * slope + offset
            height, width = ops.shape(inputs)[1:3]
            positions = ops.cast(height * width, x.dtype)
            dgamma, dbeta = ops.unstack(ops.reshape(ops.sum(means, axis=1) * positions, (2, channels)))
            return ops.cast(dx, inputs.dtype), dgamma, dbeta

        return ops.cast(y, self.compute_dtype), gradients

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": self.activation}


def check_groups(owner: str, groups: int, *widths: int) -> None:
    """Raise ValueError, naming both numbers, if ``groups`` does not divide a width."""
    for width in widths:
        if width % groups:
            raise ValueError(f"{owner}: groups={groups} does not divide the width {width}")
