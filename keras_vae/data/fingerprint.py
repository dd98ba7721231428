"""A hash of images that does not depend on their order."""

import hashlib

import numpy as np
import numpy.typing as npt


class Fingerprint:
    """SHA-256 over the sorted SHA-256s of the images, so that their order does not matter."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def add(self, images: npt.NDArray[np.uint8]) -> None:
        """Add uint8 images (N, H, W, C)."""
        self._digests += [hashlib.sha256(image.data).digest() for image in np.ascontiguousarray(images)]

    def hexdigest(self) -> str:
        """The hash of all images so far."""
        return hashlib.sha256(b"".join(sorted(self._digests))).hexdigest()
