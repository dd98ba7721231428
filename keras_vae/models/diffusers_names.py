"""Which tensors of a diffusers file each variable of an `AutoencoderKL` holds: one list for both directions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from keras_vae.layers import ResidualBlock, SelfAttention2D

if TYPE_CHECKING:
    from keras_vae.models.autoencoder_kl import AutoencoderKL

Array = npt.NDArray[Any]

# Ours to theirs: kernels (H, W, in, out) → (out, in, H, W), matrices (in, out) → (out, in).
_OF_CONVOLUTION, _OF_MATRIX = (3, 2, 0, 1), (1, 0)
# Names of the projections in files that diffusers wrote before its version 0.13.
_FORMER = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_FORMER_NAME = re.compile(rf"(\.attentions\.\d+)\.({'|'.join(_FORMER)})\.")


@dataclasses.dataclass(frozen=True)
class Place:
    """A variable and the tensors that it holds, side by side on its last axis.

    Args:
        names: names of the tensors in a file.
        variable: the variable.
        axes: order of a variable's axes in the file; empty for the same order.
    """

    names: tuple[str, ...]
    variable: Any
    axes: tuple[int, ...] = ()

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """The shape of each of the tensors in the file."""
        *others, last = self.variable.shape
        shape = (*others, last // len(self.names))
        return tuple(shape[axis] for axis in self.axes) if self.axes else shape

    def tensors(self) -> dict[str, Array]:
        """The variable's value as the file has it, by name."""
        parts = np.split(keras.ops.convert_to_numpy(self.variable), len(self.names), axis=-1)
        parts = [np.ascontiguousarray(part.transpose(self.axes) if self.axes else part) for part in parts]
        return dict(zip(self.names, parts, strict=True))

    def assign(self, tensors: Sequence[Array]) -> None:
        """Set the variable to what the file has, each of ``tensor_shape``, in the order of ``names``."""
        back = np.argsort(self.axes)
        ours = [tensor.transpose(back) if self.axes else tensor for tensor in tensors]
        self.variable.assign(np.concatenate(ours, axis=-1))


def current_name(name: str) -> str:
    """The name that a tensor of an older file has today."""
    return _FORMER_NAME.sub(lambda found: f"{found[1]}.{_FORMER[found[2]]}.", name)


def places(vae: AutoencoderKL) -> Iterator[Place]:
    """The places of all weights of encoder and decoder."""
    encoder: Any = vae.encoder
    decoder: Any = vae.decoder
    yield from _convolution("encoder.conv_in", encoder.stem)
    for index, block in enumerate(encoder.down_blocks):
        yield from _body(f"encoder.down_blocks.{index}", block)
        if block.resampling is not None:
            yield from _convolution(f"encoder.down_blocks.{index}.downsamplers.0.conv", block.resampling.conv)
    yield from _body("encoder.mid_block", encoder.mid_block)
    yield from _normalization("encoder.conv_norm_out", encoder.norm)
    yield from _convolution("encoder.conv_out", encoder.to_posterior)
    if encoder.quant_conv is not None:
        yield from _convolution("quant_conv", encoder.quant_conv)
    if decoder.post_quant_conv is not None:
        yield from _convolution("post_quant_conv", decoder.post_quant_conv)
    yield from _convolution("decoder.conv_in", decoder.stem)
    yield from _body("decoder.mid_block", decoder.mid_block)
    for index, block in enumerate(decoder.up_blocks):
        yield from _body(f"decoder.up_blocks.{index}", block)
        if block.resampling is not None:
            yield from _convolution(f"decoder.up_blocks.{index}.upsamplers.0.conv", block.resampling)
    yield from _normalization("decoder.conv_norm_out", decoder.norm)
    yield from _convolution("decoder.conv_out", decoder.to_image)


def _body(name: str, block: Any) -> Iterator[Place]:
    residuals = [layer for layer in block.body if isinstance(layer, ResidualBlock)]
    for index, layer in enumerate(residuals):
        yield from _residual(f"{name}.resnets.{index}", layer)
    attentions = [layer for layer in block.body if isinstance(layer, SelfAttention2D)]
    for index, layer in enumerate(attentions):
        yield from _attention(f"{name}.attentions.{index}", layer)


def _residual(name: str, block: ResidualBlock) -> Iterator[Place]:
    for index, (norm, conv) in enumerate(zip(block.norms, block.convs, strict=True), start=1):
        yield from _normalization(f"{name}.norm{index}", norm)
        yield from _convolution(f"{name}.conv{index}", conv)
    if block.skip is not None:
        yield from _convolution(f"{name}.conv_shortcut", block.skip)


def _attention(name: str, layer: SelfAttention2D) -> Iterator[Place]:
    yield from _normalization(f"{name}.group_norm", layer.norm)
    yield from _dense([f"{name}.to_q", f"{name}.to_k", f"{name}.to_v"], layer.query_key_value)
    yield from _dense([f"{name}.to_out.0"], layer.out)


def _convolution(name: str, layer: Any) -> Iterator[Place]:
    yield Place((f"{name}.weight",), layer.kernel, _OF_CONVOLUTION)
    yield Place((f"{name}.bias",), layer.bias)


def _dense(names: Sequence[str], layer: Any) -> Iterator[Place]:
    yield Place(tuple(f"{name}.weight" for name in names), layer.kernel, _OF_MATRIX)
    yield Place(tuple(f"{name}.bias" for name in names), layer.bias)


def _normalization(name: str, layer: Any) -> Iterator[Place]:
    yield Place((f"{name}.weight",), layer.gamma)
    yield Place((f"{name}.bias",), layer.beta)
