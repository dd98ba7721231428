"""The most unusual images as one HTML page, with their reconstructions and heat maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class GalleryItem:
    """One image.

    Args:
        name: its file or number.
        label: the name of its class, or empty.
        score: its score, in [0, 1).
        verdict: "unusual", or empty.
        pictures: name → uint8 (H, W, C): the image, its reconstruction and its heat map.
    """

    name: str
    label: str
    score: float
    verdict: str
    pictures: dict[str, NDArray[np.uint8]]


def gallery_html(items: Sequence[GalleryItem], *, title: str, note: str) -> str:
    """The page, which needs no other file. Names and labels may come from strangers; they are escaped."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("gallery.html.j2").read_text("utf-8"))
    shown = [
        {
            "rank": rank,
            "name": item.name.encode(errors="replace").decode(),
            "label": item.label,
            "score": f"{item.score:.4f}",
            "verdict": item.verdict,
            "pictures": [{"name": name, "data": _png(pixels)} for name, pixels in item.pictures.items()],
        }
        for rank, item in enumerate(items, start=1)
    ]
    return template.render(items=shown, title=title, note=note)


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(axis=-1) if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
