"""Floating-point operations of a TensorFlow function's convolutions and matrix products, two per multiply-add."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from keras_vae.models import VAE

CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")


def flops_of(function: Any, *arguments: Any) -> int:
    """Floating-point operations of one call, without those that TensorFlow drops because no result needs them.

    As usual, every kernel tap counts at every position, including those on padding.
    """
    graph = tf.function(function, autograph=False).get_concrete_function(*arguments).graph
    needed: set[tf.Operation] = set()
    stack = [output.op for output in graph.outputs] + list(graph.control_outputs)
    while stack:
        operation = stack.pop()
        if operation not in needed:
            needed.add(operation)
            stack += [value.op for value in operation.inputs] + list(operation.control_inputs)
    return sum(map(_flops_of_operation, needed))


def _flops_of_operation(operation: tf.Operation) -> int:
    kind, inputs = operation.type, operation.inputs
    if kind in CONVOLUTIONS:
        (output,) = operation.outputs
        kernel = output if kind == "Conv2DBackpropFilter" else inputs[1]
        # Each element of the output, or of its gradient in a backward pass, stands for one sum over the kernel.
        sums = output if kind == "Conv2D" else inputs[2]
        height, width, channels, _ = kernel.shape
        return 2 * sums.shape.num_elements() * height * width * channels
    if kind in ("MatMul", "BatchMatMulV2"):
        is_transposed = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        return 2 * operation.outputs[0].shape.num_elements() * inputs[0].shape[-2 if is_transposed else -1]
    if kind == "Einsum":
        terms = operation.get_attr("equation").decode().split("->")[0].split(",")
        sides: dict[str, int] = {}
        for term, value in zip(terms, inputs, strict=True):
            sides |= zip(term, value.shape, strict=True)
        return 2 * math.prod(sides.values())
    return 0


def model_flops(vae: VAE) -> tuple[int, int]:
    """Floating-point operations to encode one image and to decode one image."""
    label = () if vae.num_classes is None else (tf.zeros((1,), tf.int32),)
    images, z = tf.zeros((1, *vae.image_shape)), tf.zeros((1, vae.latent_dim))
    return flops_of(vae.encode, images, *label), flops_of(vae.decode, z, *label)
