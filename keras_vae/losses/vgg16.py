"""VGG16's convolutions as a frozen feature extractor, and the files of its weights.

Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition", configuration D.
"""

import functools
import itertools
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.image_input import check_images, unit_range

Tensor = Any  # a tensor of whichever Keras backend runs
Array = npt.NDArray[np.float32]

BUNDLED_WEIGHTS = Path(__file__).with_name("vgg16_lpips.npz")

# The convolutions and the width of each block. A tap is the last activation of a block: relu1_2, relu2_2, relu3_3, …
BLOCKS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("block1_conv1", "block1_conv2"), 64),
    (("block2_conv1", "block2_conv2"), 128),
    (("block3_conv1", "block3_conv2", "block3_conv3"), 256),
    (("block4_conv1", "block4_conv2", "block4_conv3"), 512),
    (("block5_conv1", "block5_conv2", "block5_conv3"), 512),
)

# Maps up to this side are convolved tap by tap, in 0.5 to 0.65 of the time on CPU (measured), and 0.1 for 1×1 maps.
_SMALL_SIDE = 4

# The network's input is scale·image + offset for each channel (RGB), for images in [0, 1].
# LPIPS v0.1, ScalingLayer: (2·image - 1 - shift) / deviation.
_LPIPS_SHIFT = np.array([-0.030, -0.088, -0.188], "float32")
_LPIPS_DEVIATION = np.array([0.458, 0.448, 0.450], "float32")
_LPIPS_INPUT = (np.divide(2.0, _LPIPS_DEVIATION), np.divide(-1.0 - _LPIPS_SHIFT, _LPIPS_DEVIATION))
# Keras Applications, mode "caffe": 255·image minus the mean of ImageNet.
_IMAGENET_INPUT = (np.full(3, 255.0, "float32"), np.array([-123.68, -116.779, -103.939], "float32"))


@keras.saving.register_keras_serializable(package="keras_vae")
class VGG16Features(keras.layers.Layer):
    """The activations of VGG16 at the end of its first ``taps`` blocks, with frozen weights.

    Input (N, H, W, C), floats in [0, 1] or uint8, C of 1 (taken as grey) or 3 (RGB), H and W at least 2^(taps - 1).
    Output: a list of ``taps`` tensors in the compute dtype, the i-th (N, H // 2^i, W // 2^i, width_i), widths 64, 128,
    256, 512, 512. The layer normalises its input itself. Gradients reach the images, never the weights.

    Grey images are not repeated to RGB. Zero padding comes after the normalisation, so the first convolution of a
    repeated grey image equals a convolution of ``[image, 1]`` with two kernels: the sums of the input kernels, weighted
    by the scales and the offsets of the channels.

    Args:
        weights: "bundled" (in the package, up to 3 taps), the path of an ``.npz`` with the same layout, or "imagenet"
            (Keras Applications' VGG16, which Keras downloads). The config holds this name and not the arrays; a model
            that contains this layer saves and loads the arrays like those of any layer.
        taps: how many blocks, 1 to 5. Default 3.
        dtype: policy of the convolutions. Default: the global policy.

    Raises:
        InputError: when ``taps`` is out of range or the file has fewer, when the file is missing or has another layout,
            or when images have the wrong shape or dtype or are too small.
    """

    def __init__(
        self, weights: str | os.PathLike[str] = "bundled", taps: int = 3, dtype: Any = None, **kwargs: Any
    ) -> None:
        # No autocast: images are rounded to the compute dtype after the normalisation, not before.
        super().__init__(dtype=dtype, trainable=False, autocast=False, **kwargs)
        self.weights_source = os.fspath(weights)
        self.taps = taps
        self._input_scale, self._input_offset = _input_affine(self.weights_source)
        # Created here instead of in build(), which may run inside a traced function. In float32 under every policy: a
        # strategy with several workers cannot transfer bfloat16.
        self._convolutions = {
            name: tuple(
                keras.Variable(array, dtype="float32", trainable=False, name=f"{name}_{part}")
                for part, array in zip(("kernel", "bias"), both, strict=True)
            )
            for name, both in read_convolutions(weights, taps).items()
        }

    def __call__(self, images: Tensor) -> list[Tensor]:
        # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
        check_images("VGG16", images)
        self._check_shape(tuple(images.shape))
        return super().__call__(unit_range(images))

    def call(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for names, _ in BLOCKS[: self.taps]:
            if not features:
                x = self._first_convolution(images)
                names = names[1:]
            else:
                x = ops.max_pool(features[-1], 2, strides=2, padding="valid", data_format="channels_last")
            for name in names:
                kernel, bias = self._convolutions[name]
                x = self._convolve(x, kernel, bias)
            features.append(x)
        return features

    def compute_output_shape(self, images_shape: Any) -> list[tuple[Any, ...]]:
        count, *sides, _ = images_shape
        return [
            (count, *(None if side is None else side // 2**tap for side in sides), width)
            for tap, (_, width) in enumerate(BLOCKS[: self.taps])
        ]

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        smallest = 2 ** (self.taps - 1)
        if len(shape) != 4 or shape[-1] not in (1, 3):
            raise InputError(f"VGG16 needs images (N, H, W, C) with C of 1 or 3, got shape {shape}")
        if any(size is not None and size < smallest for size in shape[1:3]):
            raise InputError(
                f"VGG16 with {self.taps} taps needs at least {smallest}×{smallest} pixels, got shape {shape}"
            )

    def _first_convolution(self, images: Tensor) -> Tensor:
        images = ops.cast(images, "float32")
        kernel, bias = self._convolutions["block1_conv1"]
        if images.shape[-1] == 3:
            return self._convolve(images * self._input_scale + self._input_offset, kernel, bias)
        weights = np.stack([self._input_scale, self._input_offset], axis=1)
        folded = ops.einsum("hwio,ij->hwjo", ops.cast(kernel, "float32"), weights)
        return self._convolve(ops.concatenate([images, ops.ones_like(images)], axis=-1), folded, bias)

    def _convolve(self, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        x, kernel, bias = (ops.cast(value, self.compute_dtype) for value in (x, kernel, bias))
        is_small = None not in x.shape[1:3] and max(x.shape[1:3]) <= _SMALL_SIDE
        x = (
            _small_convolution(x, kernel)
            if is_small
            else ops.conv(x, kernel, padding="same", data_format="channels_last")
        )
        # `ops.add`, because TensorFlow can fuse it with the convolution; it cannot fuse "+".
        return ops.relu(ops.add(x, bias))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]  # always frozen
        return {**config, "weights": self.weights_source, "taps": self.taps}


def _small_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """``ops.conv(x, kernel, padding="same")`` for a 3×3 kernel, without the products with padding.

    Those are most of the work on small maps. Each tap is one matrix product, over all positions with a neighbour there.
    """
    _, height, width, channels = x.shape
    rows = ops.unstack(ops.reshape(x, (-1, height * width, channels)), axis=1)
    places = {place: index for index, place in enumerate(itertools.product(range(height), range(width)))}
    terms: list[list[Tensor]] = [[] for _ in places]
    for down, right in itertools.product((-1, 0, 1), repeat=2):
        neighbours = {
            index: places[top + down, left + right]
            for (top, left), index in places.items()
            if (top + down, left + right) in places
        }
        if neighbours:
            products = ops.matmul(ops.concatenate([rows[i] for i in neighbours.values()]), kernel[down + 1, right + 1])
            for index, product in zip(neighbours, ops.split(products, len(neighbours)), strict=True):
                terms[index].append(product)
    sums = [functools.reduce(ops.add, parts) for parts in terms]
    return ops.reshape(ops.stack(sums, axis=1), (-1, height, width, kernel.shape[-1]))


def read_convolutions(weights: str | os.PathLike[str], taps: int) -> dict[str, tuple[Array, Array]]:
    """Kernel (3, 3, in, out) and bias (out,) of each convolution of the first ``taps`` blocks, float32.

    Raises:
        InputError: as `VGG16Features` does.
    """
    _check_taps(taps)
    if os.fspath(weights) == "imagenet":
        return _download_convolutions(taps)
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 3
    for names, width in BLOCKS[:taps]:
        for name in names:
            shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (3, 3, channels, width), (width,)
            channels = width
    arrays = _read_arrays(weights, shapes, taps)
    return {name: (arrays[f"{name}/kernel"], arrays[f"{name}/bias"]) for names, _ in BLOCKS[:taps] for name in names}


def read_heads(weights: str | os.PathLike[str], taps: int) -> list[Array]:
    """The weights of the channels at each tap, (width,) float32: LPIPS's heads, or 1/width for "imagenet".

    Raises:
        InputError: as `VGG16Features` does.
    """
    _check_taps(taps)
    widths = [width for _, width in BLOCKS[:taps]]
    if os.fspath(weights) == "imagenet":
        return [np.full(width, 1.0 / width, "float32") for width in widths]
    shapes: dict[str, tuple[int, ...]] = {f"lpips/block{tap}": (width,) for tap, width in enumerate(widths, start=1)}
    return list(_read_arrays(weights, shapes, taps).values())


def _input_affine(weights: str) -> tuple[Array, Array]:
    return _IMAGENET_INPUT if weights == "imagenet" else _LPIPS_INPUT


def _check_taps(taps: int) -> None:
    if not 1 <= taps <= len(BLOCKS):
        raise InputError(f"taps must be 1 to {len(BLOCKS)}, got {taps}")


def _read_arrays(weights: str | os.PathLike[str], shapes: dict[str, tuple[int, ...]], taps: int) -> dict[str, Array]:
    path = BUNDLED_WEIGHTS if os.fspath(weights) == "bundled" else Path(weights)
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: is one array, not an .npz of VGG16 weights")
        with loaded as file:
            held = sum(f"{names[0]}/kernel" in file for names, _ in BLOCKS)
            if 0 < held < taps:
                raise InputError(f"{path}: has weights for {held} taps, not {taps}; ask for fewer or name another file")
            missing = [name for name in shapes if name not in file]
            if missing:
                raise InputError(f"{path}: lacks the array {missing[0]}; is it a file of VGG16 weights?")
            arrays = {name: file[name] for name in shapes}
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f'{path}: no such file; name an .npz of VGG16 weights, "bundled" or "imagenet"') from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        # NumPy's own message suggests to unpickle the file.
        raise InputError(f"{path}: is damaged, or not an .npz of VGG16 weights") from error
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise InputError(
                f"{path}: {name} should be floating-point of shape {shape}, "
                f"is {arrays[name].dtype} of shape {arrays[name].shape}"
            )
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"{path}: {name} has values that are not finite")
    return {name: array.astype("float32") for name, array in arrays.items()}


def _download_convolutions(taps: int) -> dict[str, tuple[Array, Array]]:
    network = keras.applications.VGG16(include_top=False, weights="imagenet")
    convolutions = {}
    for names, _ in BLOCKS[:taps]:
        for name in names:
            kernel, bias = network.get_layer(name).get_weights()
            convolutions[name] = (kernel.astype("float32"), bias.astype("float32"))
    # Keras Applications takes BGR. Reversing the first kernel keeps RGB here.
    kernel, bias = convolutions["block1_conv1"]
    convolutions["block1_conv1"] = (kernel[:, :, ::-1], bias)
    return convolutions
