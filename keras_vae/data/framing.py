"""Converting images of any size to one shape."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Framing:
    """The shape of the images to make, and how to make them.

    Args:
        shape: (H, W, C), C of 1 (grey, ITU-R 601 luma) or 3 (RGB).
        fit: for images of other proportions: ``crop`` to the middle, ``pad`` with black margins, or ``stretch``. Image
            files may also be read with ``whole``: at their own height and width.
        max_pixels: image files that announce more pixels are refused before they are decoded.
        bit_depth: significant bits in image files with 16-bit greys; with 12, white is 4,095.
    """

    shape: tuple[int, int, int]
    fit: str = "crop"
    max_pixels: int = 40_000_000
    bit_depth: int = 16

    def apply(self, images: tf.Tensor) -> tf.Tensor:
        """Resize images uint8 (h, w, c) or (N, h, w, c), c of 1 or 3, to (H, W, C) or (N, H, W, C).

        The filter is Lanczos, with antialiasing.
        """
        images = tf.convert_to_tensor(images)
        height, width, channels = self.shape
        source = images.shape[-1]
        if (source, channels) == (3, 1):
            images = tf.image.rgb_to_grayscale(images)
        elif (source, channels) == (1, 3):
            images = tf.image.grayscale_to_rgb(images)
        if tuple(images.shape[-3:-1]) == (height, width):
            return images
        found = tf.cast(tf.shape(images)[-3:-1], tf.float32)
        scales = tf.constant([height, width], tf.float32) / found
        if self.fit == "crop":
            # The largest part in the middle that has the wanted proportions.
            part = tf.cast(tf.math.round([height, width] / tf.reduce_max(scales)), tf.int32)
            part = tf.clip_by_value(part, 1, tf.shape(images)[-3:-1])
            top, left = tf.unstack((tf.shape(images)[-3:-1] - part) // 2)
            images = images[..., top : top + part[0], left : left + part[1], :]
        target = tf.constant([height, width])
        if self.fit == "pad":
            target = tf.clip_by_value(tf.cast(tf.math.round(found * tf.reduce_min(scales)), tf.int32), 1, target)
        resized = tf.image.resize(images, target, "lanczos3", antialias=True)
        resized = tf.cast(tf.clip_by_value(tf.math.round(resized), 0, 255), tf.uint8)
        if self.fit == "pad":
            top, left = tf.unstack((tf.constant([height, width]) - target) // 2)
            resized = tf.image.pad_to_bounding_box(resized, top, left, height, width)
        return tf.ensure_shape(resized, (*images.shape[:-3], *self.shape))
