"""The pictures of ``keras-vae score``: the most unusual images with reconstruction and heat map."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .outputs import writing
from .runtime import say

if TYPE_CHECKING:
    from keras_vae.scoring import Scorer

    from .scored_images import ScoredImages


def write_pictures(
    scorer: Scorer,
    sets: list[ScoredImages],
    tables: list[dict[str, np.ndarray]],
    top: int,
    heatmaps: Path | None,
    gallery: Path | None,
    *,
    title: str,
) -> None:
    """The ``top`` most unusual images with reconstruction and heat map, as PNG files and as one page."""
    from PIL import Image

    from keras_vae.reports.gallery import GalleryItem, gallery_html

    places = [(table["score"][row], one, row) for one, table in enumerate(tables) for row in range(len(table["score"]))]
    places = sorted(places, key=lambda place: -place[0])[:top]
    drawn: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for one, images in enumerate(sets):
        rows = [row for _, other, row in places if other == one]
        drawn |= zip(((one, row) for row in rows), _pictures(scorer, images, np.array(rows, int)), strict=True)
    items = []
    for rank, (score, one, row) in enumerate(places, start=1):
        images, table, pictures = sets[one], tables[one], drawn[one, row]
        verdict = "unusual" if "unusual" in table and table["unusual"][row] else ""
        items.append(GalleryItem(images.names[row], images.label(row), float(score), verdict, pictures))
        if heatmaps is not None:
            heatmaps.mkdir(exist_ok=True)
            with writing(heatmaps / f"{rank:05d}_{Path(images.names[row]).stem}.png") as beside:
                Image.fromarray(pictures["heat map"]).save(beside, "PNG")
    if heatmaps is not None:
        say(f"wrote {len(items):,} heat maps into {heatmaps}")
    if gallery is not None:
        note = "The image, its reconstruction, and where it is unusual: bright is ten times the mean of normal images."
        with writing(gallery) as beside:
            beside.write_text(gallery_html(items, title=f"Most unusual images · {title}", note=note), encoding="utf-8")
        say(f"wrote {gallery}")


def _pictures(scorer: Scorer, images: ScoredImages, rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Each row's image, reconstruction and heat map, as bytes."""
    from keras.ops import convert_to_numpy

    from keras_vae.models.batches import images_at_a_time
    from keras_vae.visualize.heat import heat_overlay

    size = images_at_a_time(scorer.vae.image_shape)
    for part in (rows[start : start + size] for start in range(0, len(rows), size)):
        pixels = images.read(part)
        labels = None if images.labels is None or scorer.vae.num_classes is None else images.labels[part]
        reconstructions = np.rint(255 * convert_to_numpy(scorer.vae.reconstruct(pixels, labels))).astype(np.uint8)
        for image, reconstruction, heat in zip(pixels, reconstructions, scorer.heatmap(pixels, labels), strict=True):
            yield {"image": image, "reconstruction": reconstruction, "heat map": heat_overlay(image, heat)}
