"""A copy of the model that computes in float32, for formats that hold one precision (LiteRT, ONNX), and its answers."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from keras import ops

from keras_vae.layers.normalization import GroupNorm
from keras_vae.models import VAE


def float32_copy(vae: VAE, *, integer: bool = False) -> VAE:
    """The same weights under the policy float32; under a mixed policy they are kept in float32 already.

    Args:
        vae: the model, which stays as it is.
        integer: write the group normalisations in operators that LiteRT computes in int8.
    """
    copy = type(vae).from_config({**vae.get_config(), "dtype": "float32"})
    copy.set_weights(vae.get_weights())
    if integer:
        for layer in copy._flatten_layers():
            # A subclass may compute something else.
            if type(layer) is GroupNorm:
                layer.call = functools.partial(_integer_group_norm, layer)  # type: ignore[method-assign]
    return copy


def answer(vae: VAE, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the model makes of named inputs: tensors of tensors, or NumPy arrays of arrays.

    Args:
        vae: the model.
        signature: "encode" (``image`` → ``mean``, ``log_var``) or "decode" (``z`` → ``image``).
        inputs: the above, and ``label`` where the model is conditional.
    """
    label = inputs.get("label")
    if signature == "decode":
        outputs = {"image": vae.decode(inputs["z"], label)}
    else:
        outputs = dict(zip(("mean", "log_var"), vae.encode(inputs["image"], label), strict=True))
    are_arrays = all(isinstance(value, np.ndarray) for value in inputs.values())
    return {name: np.asarray(value) for name, value in outputs.items()} if are_arrays else outputs


def _integer_group_norm(norm: GroupNorm, inputs: Any) -> Any:
    """`GroupNorm.call` in half of the operators, without NEG and SQUARE, which LiteRT leaves in float amid int8.

    Each operator costs a few hundred bytes of a file, with its tensors. The variance stays E[x²] - E[x]²: with one
    more quantised map, x - E[x], the int8 encoder was half as far off again.
    """
    _, height, width, channels = inputs.shape
    shape = (1, 1, norm.groups, channels // norm.groups)
    grouped = ops.reshape(inputs, (-1, height * width, *shape[2:]))
    mean, mean_square = (ops.mean(value, axis=(1, 3), keepdims=True) for value in (grouped, grouped * grouped))
    scale = ops.rsqrt(ops.maximum(mean_square - mean * mean, 0.0) + norm.epsilon)
    if norm.gamma is not None:
        scale = scale * ops.reshape(norm.gamma, shape)
    beta = 0.0 if norm.beta is None else ops.reshape(norm.beta, shape)
    result = ops.reshape(grouped * scale + (beta - mean * scale), (-1, height, width, channels))
    return result if norm.activation is None else ops.silu(result)
