"""A hash of images that is the same in whatever order they are stored."""

import hashlib

import numpy as np
import numpy.typing as npt


class Fingerprint:
    """SHA-256 of the sorted SHA-256s of the images: the same pixels have the same in whatever order they come."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def add(self, images: npt.NDArray[np.uint8]) -> None:
        """Take in uint8 images (N, H, W, C)."""
        self._digests += [hashlib.sha256(image.data).digest() for image in np.ascontiguousarray(images)]

    def hexdigest(self) -> str:
        """Of all images so far."""
        return hashlib.sha256(b"".join(sorted(self._digests))).hexdigest()
