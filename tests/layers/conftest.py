"""What the tests of the layers share: random weights, and references in NumPy."""

import numpy as np
import pytest


def _randomize(layer, seed=0):
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return layer


@pytest.fixture(scope="session")
def randomize():
    """``randomize(layer)`` gives every trainable weight, gammas and biases too, a value that shows."""
    return _randomize


def _group_norm(x, groups, gamma, beta, epsilon=1e-5):
    x = np.asarray(x, "float64")
    grouped = x.reshape(*x.shape[:3], groups, -1)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    variance = grouped.var((1, 2, 4), keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) * gamma + beta


@pytest.fixture(scope="session")
def group_norm():
    """Group normalisation by its formula, in float64."""
    return _group_norm


def _convolve(x, kernel, bias=0.0, stride=1):
    size = kernel.shape[0]
    margins = [(0, 0)]
    for side in x.shape[1:3]:
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        margins.append((total // 2, total - total // 2))
    padded = np.pad(np.asarray(x, "float64"), [*margins, (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel) + bias


@pytest.fixture(scope="session")
def convolve():
    """Convolution with padding "same" by sliding windows, in float64."""
    return _convolve
