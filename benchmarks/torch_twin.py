"""The peer of the inference benchmark: the same encoder and decoder in PyTorch, with the Keras model's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from keras_vae.layers import CrossAttention2D, ResidualBlock, SelfAttention2D
from keras_vae.models import VAE


def _tensor(weight: Any, *axes: int) -> nn.Parameter:
    array = np.asarray(weight)
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(array.transpose(axes) if axes else array)))


def linear(layer: Any) -> nn.Linear:
    """The twin of a Dense layer."""
    twin = nn.Linear(*layer.kernel.shape)
    twin.weight, twin.bias = _tensor(layer.kernel, 1, 0), _tensor(layer.bias)
    return twin


def convolution(layer: Any) -> nn.Conv2d:
    """The twin of a Conv2D with "same" padding and kernel 1, 3 or (stride 2, even sides) 4."""
    height, width, channels, filters = layer.kernel.shape
    padding = (height - 1) // 2
    twin = nn.Conv2d(channels, filters, (height, width), stride=layer.strides, padding=padding)
    twin.weight, twin.bias = _tensor(layer.kernel, 3, 2, 0, 1), _tensor(layer.bias)
    return twin


def transposed_convolution(layer: Any) -> nn.ConvTranspose2d:
    """The twin of a Conv2DTranspose with kernel 4, stride 2 and "same" padding."""
    height, width, filters, channels = layer.kernel.shape
    twin = nn.ConvTranspose2d(channels, filters, (height, width), stride=layer.strides, padding=1)
    twin.weight, twin.bias = _tensor(layer.kernel, 3, 2, 0, 1), _tensor(layer.bias)
    return twin


def normalization(layer: Any) -> nn.GroupNorm:
    """The twin of a GroupNorm."""
    twin = nn.GroupNorm(layer.groups, layer.gamma.shape[0], eps=layer.epsilon)
    twin.weight, twin.bias = _tensor(layer.gamma), _tensor(layer.beta)
    return twin


class Residual(nn.Module):
    """`ResidualBlock`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.norms = nn.ModuleList(map(normalization, layer.norms))
        self.convs = nn.ModuleList(map(convolution, layer.convs))
        self.skip = nn.Identity() if layer.skip is None else convolution(layer.skip)

    def forward(self, x: Any, context: Any) -> Any:
        hidden = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            hidden = conv(functional.silu(norm(hidden)))
        return self.skip(x) + hidden


def mapping(layers: Any) -> nn.Sequential:
    """The dense layers with SiLU between the features and the latent."""
    return nn.Sequential(*(part for layer in layers for part in (linear(layer), nn.SiLU())))


class Attention(nn.Module):
    """`SelfAttention2D` or `CrossAttention2D`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.heads = layer.num_heads
        self.norm, self.out = normalization(layer.norm), linear(layer.out)
        self.is_cross = isinstance(layer, CrossAttention2D)
        names = ("query", "key_value") if self.is_cross else ("query_key_value",)
        self.projections = nn.ModuleList(linear(getattr(layer, name)) for name in names)

    def forward(self, x: Any, context: Any) -> Any:
        count, channels, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        if self.is_cross:
            query = self.projections[0](tokens)
            key, value = self.projections[1](context).chunk(2, dim=-1)
        else:
            query, key, value = self.projections[0](tokens).chunk(3, dim=-1)
        split = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        attended = functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        return x + self.out(attended).transpose(1, 2).reshape(count, channels, height, width)


class Block(nn.Module):
    """`DownBlock`, `MidBlock` or `UpBlock`."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        twins = [
            Residual(part) if isinstance(part, ResidualBlock) else Attention(part)
            for part in layer.body
            if isinstance(part, ResidualBlock | SelfAttention2D | CrossAttention2D)
        ]
        assert len(twins) == len(layer.body)
        self.body = nn.ModuleList(twins)
        self.resampling: nn.Module | None = None
        if layer.resampling is not None:
            convert = transposed_convolution if "upsample" in layer.resampling.name else convolution
            self.resampling = convert(layer.resampling)

    def forward(self, x: Any, context: Any) -> Any:
        for layer in self.body:
            x = layer(x, context)
        return x if self.resampling is None else self.resampling(x)


class TorchEncoder(nn.Module):
    """Images (N, C, H, W) with sides that the down-samplings divide → mean and log_var (N, L)."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        encoder = vae.encoder
        self.stem, self.norm = convolution(encoder.stem), normalization(encoder.norm)
        self.blocks = nn.ModuleList(map(Block, (*encoder.down_blocks, encoder.mid_block)))
        self.bottleneck, self.mapping = convolution(encoder.bottleneck), mapping(encoder.mapping)
        self.mean_head, self.log_var_head = linear(encoder.mean_head), linear(encoder.log_var_head)

    def forward(self, images: Any) -> Any:
        hidden = self.stem(images)
        for block in self.blocks:
            hidden = block(hidden, None)
        # Keras flattens with channels last.
        hidden = self.bottleneck(functional.silu(self.norm(hidden))).permute(0, 2, 3, 1).flatten(1)
        hidden = self.mapping(hidden)
        return self.mean_head(hidden), self.log_var_head(hidden).clamp(-30.0, 20.0)


class TorchDecoder(nn.Module):
    """z (N, L) → images (N, C, H, W), for a model with a stem of stride 2 and generative skips."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        decoder = vae.decoder
        self.grid = (*decoder.geometry.grid(len(decoder.widths) - 1), decoder.architecture.bottleneck_width)
        self.tokens = (decoder.architecture.context_tokens, decoder.widths[-1])
        self.mapping, self.bottleneck = mapping(decoder.mapping), convolution(decoder.bottleneck)
        self.stem, self.latent_tokens = linear(decoder.stem), linear(decoder.latent_tokens)
        self.blocks = nn.ModuleList(map(Block, (decoder.mid_block, *decoder.up_blocks)))
        self.norm = normalization(decoder.norm)
        self.unstem, self.to_image = transposed_convolution(decoder.unstem), convolution(decoder.to_image)

    def forward(self, z: Any) -> Any:
        vectors = self.mapping(z)
        context = self.latent_tokens(vectors).unflatten(1, self.tokens)
        hidden = self.bottleneck(self.stem(vectors).unflatten(1, self.grid).permute(0, 3, 1, 2))
        for block in self.blocks:
            hidden = block(hidden, context)
        hidden = functional.silu(self.unstem(functional.silu(self.norm(hidden))))
        return torch.sigmoid(self.to_image(hidden))
