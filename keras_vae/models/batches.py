"""The batch size for encoding and decoding where the user sets none, and decoding in such batches."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from keras_vae.models.vae import VAE

MOST_IMAGES = 256
# For this many pixels, each of VGG16's first feature maps takes 64 MB in float32.
MOST_PIXELS = 1 << 18


def images_at_a_time(image_shape: Sequence[int]) -> int:
    """How many images (H, W, C) to encode, decode or compare at once; larger images come in smaller batches."""
    return max(1, min(MOST_IMAGES, MOST_PIXELS // (image_shape[0] * image_shape[1])))


def decode_in_batches(
    vae: VAE, z: npt.NDArray[np.float32], labels: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.float32]:
    """``vae.decode(z, labels)`` for any number of z (N, latent_dim), batch by batch: images (N, H, W, C)."""
    size = images_at_a_time(vae.image_shape)
    parts = [slice(start, start + size) for start in range(0, len(z), size)]
    return np.concatenate(
        [keras.ops.convert_to_numpy(vae.decode(z[part], None if labels is None else labels[part])) for part in parts]
    )
