"""A copy of a model that computes in float32, for formats with a single precision (LiteRT, ONNX), and its outputs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from keras import ops

from keras_vae.layers.normalization import GroupNorm
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time
from keras_vae.models.copies import copy_of


def in_float32(vae: VAE) -> VAE:
    """The model, or its `float32_copy` if it computes in another precision."""
    return vae if vae.compute_dtype == "float32" else float32_copy(vae)


def float32_copy(vae: VAE, *, integer: bool = False) -> VAE:
    """Copy a model under the policy float32. Mixed policies store weights in float32 already, so nothing is rounded.

    Args:
        vae: the model, which is not changed.
        integer: express group normalisation in operators that LiteRT computes in int8.
    """
    copy = copy_of(vae, dtype="float32")
    if integer:
        for layer in copy._flatten_layers():
            # Not subclasses, which may compute something else.
            if type(layer) is GroupNorm:
                layer.call = functools.partial(_integer_group_norm, layer)  # type: ignore[method-assign]
    return copy


def answer(vae: VAE, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The model's outputs for named inputs: tensors for tensors, NumPy arrays for arrays.

    Args:
        vae: the model.
        signature: "encode" (``image`` → ``mean``, ``log_var``, and ``codes`` if the model has any), "decode" (``z`` →
            ``image``), or "decode_codes" (``codes`` → ``image``).
        inputs: the inputs above, and ``label`` for a conditional model. Arrays are computed a few images at a time.
    """
    if all(isinstance(value, np.ndarray) for value in inputs.values()):
        return _answer_in_batches(vae, signature, inputs)
    label = inputs.get("label")
    if signature == "decode":
        outputs = {"image": vae.decode(inputs["z"], label)}
    elif signature == "decode_codes":
        outputs = {"image": vae.decode_codes(inputs["codes"], label)}
    else:
        heads = vae.encoder(inputs["image"], label)
        outputs = dict(zip(("mean", "log_var"), vae.bottleneck.posterior(*heads), strict=True))
        if vae.bottleneck.code_shape is not None:
            outputs["codes"] = vae.bottleneck.codes_of(*heads)
    return outputs


def _answer_in_batches(vae: VAE, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
    size = images_at_a_time(vae.image_shape)
    batches = [
        answer(
            vae, signature, {name: ops.convert_to_tensor(value[start : start + size]) for name, value in inputs.items()}
        )
        for start in range(0, len(next(iter(inputs.values()))), size)
    ]
    return {name: np.concatenate([np.asarray(batch[name]) for batch in batches]) for name in batches[0]}


def _integer_group_norm(norm: GroupNorm, inputs: Any) -> Any:
    """`GroupNorm.call` in half as many operators, without NEG and SQUARE, which stay in float in int8 files.

    Each operator takes a few hundred bytes of the file, with its tensors. The variance is E[x²] - E[x]²: with one more
    quantised map, x - E[x], the error of the int8 encoder was 1.5 times as large.
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
