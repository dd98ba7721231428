"""Use of a codebook, from how often each code occurs in a set of images."""

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError


def code_usage(counts: npt.ArrayLike) -> float:
    """The part of the codes, in [0, 1], that occur at all.

    Args:
        counts: how often each code occurs, (codebook_size,), as from ``np.bincount(codes.ravel(), minlength=…)``.

    Raises:
        InputError: if no code occurs, or a count is negative.
    """
    return float((_shares(counts) > 0).mean())


def perplexity(counts: npt.ArrayLike) -> float:
    """The exponential of the entropy of the codes: as many codes, used equally often, would say as much.

    It is in [1, codebook_size]. ``log2`` of it is the mean number of bits a code needs if codes are coded one by one.

    Args:
        counts: how often each code occurs, (codebook_size,), as from ``np.bincount(codes.ravel(), minlength=…)``.

    Raises:
        InputError: if no code occurs, or a count is negative.

    Reference: van den Oord et al. 2017, "Neural Discrete Representation Learning".
    """
    shares = _shares(counts)
    used = shares[shares > 0]
    return float(np.exp(-np.sum(used * np.log(used))))


def _shares(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not counts.sum() > 0 or not counts.min() >= 0:
        raise InputError(f"counts must be (codebook_size,), none negative, not all zero; got the shape {counts.shape}")
    return counts / counts.sum()
