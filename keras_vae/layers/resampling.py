"""Halving and doubling of the resolution as in the autoencoders of latent diffusion (Rombach et al. 2022)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class Downsampling2D(keras.layers.Layer):
    """3×3 convolution with stride 2 over the map and one more row and column of zeros at its end.

    Input (N, H, W, C), output (N, ⌊H/2⌋, ⌊W/2⌋, filters).

    Args:
        filters: width of the output.

    Reference: Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models", whose code pads so.
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = keras.layers.Conv2D(filters, 3, strides=2, dtype=self.dtype_policy, name="conv")

    def build(self, input_shape: Any) -> None:
        padded = (None if side is None else side + 1 for side in input_shape[1:3])
        self.conv.build((input_shape[0], *padded, input_shape[3]))
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.conv(ops.pad(inputs, [(0, 0), (0, 1), (0, 1), (0, 0)]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sides = (None if side is None else side // 2 for side in input_shape[1:3])
        return (input_shape[0], *sides, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


@keras.saving.register_keras_serializable(package="keras_vae")
class Upsampling2D(keras.layers.Layer):
    """3×3 convolution, padding "same", over the map with every position repeated twice in both directions.

    Input (N, H, W, C), output (N, 2H, 2W, filters). H and W must be known.

    Three taps in a row see two different positions, so an output is a sum over 2×2 positions. The sums of taps differ
    between even and odd outputs: four 2×2 kernels give the four outputs of a position, with 4/9 of the multiplications
    and no larger map in between.

    Args:
        filters: width of the output.

    Reference: Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"; the kernels as in Shi et al. 2016, "Is the
    Deconvolution Layer the Same as a Convolutional Layer?".
    """

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape: Any) -> None:
        # autocast=False: taps are summed before they are rounded.
        self.kernel = self.add_weight(
            shape=(3, 3, input_shape[-1], self.filters), initializer="glorot_uniform", autocast=False, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs: Any) -> Any:
        _, height, width, _ = inputs.shape
        padded = ops.pad(inputs, [(0, 0), (1, 1), (1, 1), (0, 0)])
        # One after the other: on CPU this halves the peak of memory, which is that of a whole autoencoder.
        rows = [
            self._outputs_of_row(padded[:, row : row + height + 1], kernel)
            for row, kernel in enumerate(_added_taps(self.kernel, 0))
        ]
        return ops.reshape(ops.concatenate(rows, axis=2), (-1, 2 * height, 2 * width, self.filters))

    def _outputs_of_row(self, padded: Any, kernel: Any) -> Any:
        """The even or the odd rows of the output, (N, H, 1, 2·W·filters), by that row's kernel (2, 3, C, filters)."""
        kernels = ops.cast(ops.concatenate(_added_taps(kernel, 1), axis=-1), self.compute_dtype)
        both = ops.add(ops.conv(padded, kernels, padding="valid"), ops.concatenate([self.bias, self.bias]))
        even, odd = ops.split(both, 2, axis=-1)
        pairs = ops.concatenate([even[:, :, :-1], odd[:, :, 1:]], axis=-1)
        _, height, width, channels = pairs.shape
        return ops.reshape(pairs, (-1, height, 1, width * channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sides = (None if side is None else 2 * side for side in input_shape[1:3])
        return (input_shape[0], *sides, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}


def _added_taps(kernel: Any, axis: int) -> tuple[Any, Any]:
    """The two taps of even and of odd outputs, along one axis."""
    before, at, after = ops.split(kernel, 3, axis=axis)
    return ops.concatenate([before, at + after], axis=axis), ops.concatenate([before + at, after], axis=axis)
