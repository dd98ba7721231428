"""Spectrally normalised convolution, for the discriminator."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vae")
class SpectralConv2D(keras.layers.Layer):
    """2-D convolution, padding "same", with the kernel ``W / σ(W)``; σ is the largest singular value of W.

    Input (N, H, W, C), output (N, ⌈H/strides⌉, ⌈W/strides⌉, filters). W is the kernel as a (k·k·C, filters) matrix. One
    step of power iteration in each training call tracks σ.

    `keras.layers.SpectralNormalization` overwrites the kernel in every training call, so the generator's step, which
    runs the discriminator forward, would change the discriminator. Here the division is part of the forward pass, as in
    the paper, and its gradient goes through σ.

    Args:
        filters: width of the output.
        kernel_size: side of the square kernel.
        strides: stride in both directions.

    Reference: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides

    def build(self, input_shape: Any) -> None:
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        # autocast=False: in half precision, power iteration is too inaccurate.
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", autocast=False, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.left = self.add_weight(
            shape=(1, self.filters), initializer="random_normal", trainable=False, autocast=False, name="left"
        )
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        constant = ops.stop_gradient(matrix)
        right = ops.normalize(ops.matmul(self.left, ops.transpose(constant)))
        left = ops.normalize(ops.matmul(right, constant))
        if training:
            self.left.assign(left)
        # σ = right·W·leftᵀ with constant singular vectors, so that ∂σ/∂W = rightᵀ·left.
        sigma = ops.sum(ops.matmul(right, matrix) * left)
        kernel = ops.cast(self.kernel / sigma, self.compute_dtype)
        # `ops.add`, because TensorFlow can fuse it with the convolution; it cannot fuse "+".
        return ops.add(ops.conv(inputs, kernel, self.strides, padding="same"), self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sides = [None if side is None else -(-side // self.strides) for side in input_shape[1:3]]
        return (input_shape[0], *sides, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }
