"""Pictures and animations of several runs side by side."""

from collections.abc import Sequence

import numpy as np

from keras_vae.errors import InputError
from keras_vae.visualize.style import Picture


def beside(pictures: Sequence[Picture], *, gap: int = 16) -> Picture:
    """Pictures from left to right on a white page, aligned at the top.

    Args:
        pictures: uint8 RGB (H, W, 3), of any sizes, at least one.
        gap: white pixels between two of them.

    Raises:
        InputError: without pictures.
    """
    if not pictures:
        raise InputError("nothing to set side by side: no pictures were given")
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + gap * (len(pictures) - 1)
    page = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for picture in pictures:
        page[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + gap
    return page


def frames_beside(animations: Sequence[Sequence[Picture]], *, gap: int = 16) -> list[Picture]:
    """Animations side by side, frame by frame; one that is shorter stands still at its last frame.

    Args:
        animations: the frames of each, at least one; within an animation all of one size.
        gap: white pixels between two of them.

    Raises:
        InputError: without animations, or with an empty one.
    """
    if not animations or not all(animations):
        raise InputError("nothing to set side by side: every animation needs at least one frame")
    return [
        beside([frames[min(index, len(frames) - 1)] for frames in animations], gap=gap)
        for index in range(max(len(frames) for frames in animations))
    ]
