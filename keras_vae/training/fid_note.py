"""How many images a FID is of, in words, for every table that shows FIDs."""

from __future__ import annotations

from typing import Any

FEATURES = 2048
"""Numbers in Inception's features of an image. As many images or fewer have a singular covariance."""


def fid_note(images: Any) -> str:
    """A phrase such as "5,000 images each; published FIDs usually take 50,000".

    Args:
        images: the evaluation's setting ``frechet_images``, which an edited report may lack.
    """
    if not isinstance(images, int):
        return "an unknown number of images; published FIDs usually take 50,000"
    few = f", too few for {FEATURES:,} features" if images <= FEATURES else ""
    return f"{images:,} images each{few}; published FIDs usually take 50,000"
