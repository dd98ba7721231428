"""The residual block in every level of the encoder and the decoder."""

from __future__ import annotations

from typing import Any

import keras

from keras_vae.layers.normalization import GroupNorm, check_groups


@keras.saving.register_keras_serializable(package="keras_vae")
class ResidualBlock(keras.layers.Layer):
    """Pre-activation residual block: ``y = skip(x) + conv(silu(norm(conv(silu(norm(x))))))``.

    Input (N, H, W, C), output (N, H, W, filters). The skip is the identity when ``C == filters``, else a 1×1
    convolution.

    Args:
        filters: width of the output.
        groups: groups of the normalisation; must divide both widths.
        epsilon: added to the normalisation's variance.

    To change the part that is added to the skip, override `branch` in a subclass.

    Raises:
        ValueError: when ``groups`` does not divide a width; the message names both numbers.

    Reference: He et al. 2016, "Identity Mappings in Deep Residual Networks", fig. 4(e); Wu & He 2018, "Group
    Normalization".
    """

    def __init__(self, filters: int, groups: int = 8, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.groups = groups
        self.epsilon = epsilon
        policy = self.dtype_policy
        self.norms = [GroupNorm(groups, epsilon, "silu", dtype=policy, name=f"norm_{i}") for i in (1, 2)]
        self.convs = [keras.layers.Conv2D(filters, 3, padding="same", dtype=policy, name=f"conv_{i}") for i in (1, 2)]
        self.skip: keras.layers.Layer | None = None

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        check_groups(type(self).__name__, self.groups, width, self.filters)
        if width != self.filters:
            self.skip = keras.layers.Conv2D(self.filters, 1, dtype=self.dtype_policy, name="skip")
            self.skip.build(input_shape)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            norm.build(input_shape)
            conv.build(input_shape)
            input_shape = conv.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return (inputs if self.skip is None else self.skip(inputs)) + self.branch(inputs)

    def branch(self, inputs: Any) -> Any:
        """The part that is added to the skip."""
        hidden = inputs
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = conv(norm(hidden))
        return hidden

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups, "epsilon": self.epsilon}
