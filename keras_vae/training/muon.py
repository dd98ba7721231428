"""Muon: momentum updates that are made orthogonal matrix by matrix."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.training.optimizers import FusedAdamW

# The Newton-Schulz iteration, tuned to bring every singular value close to 1 in five steps (Jordan et al. 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# About the size of an AdamW step per element, so that Muon can share AdamW's learning rate (Liu et al. 2025).
UPDATE_RMS = 0.2


@keras.saving.register_keras_serializable(package="keras_vae")
class Muon(FusedAdamW):
    """Muon for the kernels of dense and convolutional layers, `FusedAdamW` for every other weight.

    A kernel (…, in, out) is one matrix (…·in, out). Its step is ``lr · 0.2 · √max(rows, columns) · U Vᵀ``, where
    ``U S Vᵀ`` is the Nesterov momentum of its gradient, so all directions of the matrix learn equally fast.
    `keras.optimizers.Muon` leaves convolutions to AdamW; this optimizer updates their kernels as well.

    Args:
        learning_rate: float or schedule, for both.
        momentum: momentum for the kernels that Muon updates.
        exclude_layers: regular expressions; AdamW updates the weights whose path contains a match. Meant for a
            network's first and last layers.
        **kwargs: as for `keras.optimizers.AdamW`; ``weight_decay`` applies to all weights.

    Reference: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025, "Muon is
    Scalable for LLM Training", section 2.2.
    """

    def __init__(
        self, learning_rate: Any = 0.001, momentum: float = 0.95, exclude_layers: Iterable[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum
        self.exclude_layers = tuple(exclude_layers)

    def is_orthogonalized(self, variable: Any) -> bool:
        """Whether Muon, not AdamW, updates this Keras variable."""
        return len(variable.shape) > 1 and not any(re.search(layer, variable.path) for layer in self.exclude_layers)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")
        self._velocities = [
            None if self.is_orthogonalized(variable) else self.add_variable_from_reference(variable, "velocity")
            for variable in variables
        ]

    def _update(self, gradients: list[Any], variables: list[Any], learning_rate: Any, is_wanted: Any) -> None:
        others = []
        # Kernels of one shape together: their number, not the kernels', decides how large the step's graph is.
        groups: dict[Any, list[tuple[Any, Any, Any]]] = defaultdict(list)
        for gradient, variable in zip(gradients, variables, strict=True):
            index, value = self._get_variable_index(variable), variable.value
            if self._velocities[index] is not None:
                others.append((gradient, variable))
                continue
            kind = (tuple(value.shape), value.dtype, self._use_weight_decay(variable))
            groups[kind].append((gradient, value, self._momentums[index].value))
        super()._update([each for each, _ in others], [each for _, each in others], learning_rate, is_wanted)
        learning_rate = tf.where(is_wanted, learning_rate, 0.0)
        for (shape, dtype, decays), group in groups.items():
            of_group, kernels, momentums = zip(*group, strict=True)
            gradient, before = tf.cast(tf.stack(of_group), dtype), tf.stack(momentums)
            momentum = tf.where(is_wanted, self.momentum * before + gradient, before)
            matrices = tf.reshape(gradient + self.momentum * momentum, (len(group), -1, shape[-1]))
            scale = UPDATE_RMS * math.sqrt(max(matrices.shape[1:]))
            update = tf.reshape(orthogonalized(matrices), momentum.shape) * scale
            if decays:
                update += self.weight_decay * tf.stack(kernels)
            updates = tf.unstack(tf.cast(learning_rate, dtype) * update)
            for kernel, mean, new_mean, step in zip(kernels, momentums, tf.unstack(momentum), updates, strict=True):
                mean.assign(new_mean)
                kernel.assign_sub(step)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "exclude_layers": list(self.exclude_layers)}


def orthogonalized(matrices: tf.Tensor) -> tf.Tensor:
    """Approximate ``U Vᵀ`` of each ``U S Vᵀ`` (…, rows, columns); its singular values lie between 0.7 and 1.2."""
    rows, columns = matrices.shape[-2:]
    is_tall = rows > columns
    matrices /= tf.sqrt(tf.reduce_sum(tf.square(matrices), axis=(-2, -1), keepdims=True)) + 1e-7
    a, b, c = COEFFICIENTS
    identity = np.eye(min(rows, columns))
    a_identity, b_identity, c = (tf.constant(value, matrices.dtype) for value in (a * identity, b * identity, c))
    for _ in range(ITERATIONS):
        gram = tf.matmul(matrices, matrices, transpose_a=is_tall, transpose_b=not is_tall)
        # a·X + (b·G + c·G²)·X, summed over the small matrices first and without transposing X: this took three
        # quarters of the time.
        factor = tf.matmul(gram, c * gram + b_identity) + a_identity
        matrices = tf.matmul(matrices, factor) if is_tall else tf.matmul(factor, matrices)
    return matrices
