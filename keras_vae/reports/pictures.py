"""The pictures of the runs, read from ``plots/`` and placed side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_vae import visualize
from keras_vae.reports.runs import Run
from keras_vae.training.run_directory import metrics_by_name
from keras_vae.visualize.style import Picture

STILLS = {
    "latent": "test_latent_visualization.png",
    "reconstructions": "sample_test_reconstruction.png",
    "manifolds": "latent_manifold.png",
    "samples": "samples.png",
    "samples_gmm": "samples_gmm.png",
}
"""PNG of a comparison, without its suffix → picture in a run's ``plots/``."""
ANIMATIONS = ("test_latent_visualization", "sample_test_reconstruction")
"""GIFs, without their suffix; they have the same name in a run's ``plots/`` and in a comparison."""

GIF_WIDTH, PNG_WIDTH = 1600, 2400
"""Largest width of pictures side by side, in pixels."""
# Evenly spread over a longer run, this many epochs show the movement and keep file and memory small.
_MOST_FRAMES = 100
_GAP = 16
# Enough for plots and grey digits. Each halving makes the file a tenth smaller.
_GIF_COLOURS = 128


@dataclass(frozen=True)
class PictureFile:
    """A picture file and its size in pixels."""

    path: Path
    width: int
    height: int


def write_stills(folder: Path, runs: Sequence[Run]) -> dict[str, list[PictureFile | None]]:
    """Write each PNG of `STILLS` with the runs side by side; returns the file of each run, None if it has none.

    Raises:
        InputError: if a run's picture is damaged or too large.
        OSError: if the folder cannot be written.
    """
    return {name: _write_still(folder / f"{name}.png", file, runs) for name, file in STILLS.items()}


def write_animations(folder: Path, runs: Sequence[Run]) -> dict[str, list[PictureFile | None]]:
    """Write each GIF of `ANIMATIONS` with the runs side by side; otherwise as `write_stills`."""
    return {name: _write_animation(folder / f"{name}.gif", f"{name}.gif", runs) for name in ANIMATIONS}


def write_curves(folder: Path, runs: Sequence[Run]) -> dict[str, PictureFile]:
    """Write ``test_curves.png`` and ``train_curves.png`` with all runs in one plot; returns both by split."""
    written = {}
    for side in ("test", "train"):
        curves = {run.name: ([row["epoch"] for row in run.rows], metrics_by_name(run.rows, side)) for run in runs}
        title = f"Metrics by epoch · {side}"
        picture, path = visualize.compare_curves(curves, title=title), folder / f"{side}_curves.png"
        visualize.write_png(path, picture)
        written[side] = PictureFile(path, picture.shape[1], picture.shape[0])
    return written


def columns_of(count: int) -> int:
    """Number of pictures in a row, at most three, so that they stay legible."""
    return count if count <= 3 else 2 if count == 4 else 3


def missing_pictures(found: dict[str, list[PictureFile | None]], runs: Sequence[Run]) -> Iterator[str]:
    """A sentence for each picture that only some of the runs have."""
    for name, pictures in found.items():
        without = [run.name for run, picture in zip(runs, pictures, strict=True) if picture is None]
        if without and len(without) < len(runs):
            file = STILLS.get(name, f"{name}.gif")
            yield f"{file}: missing for {', '.join(without)}, and left out there."


def _write_still(target: Path, file: str, runs: Sequence[Run]) -> list[PictureFile | None]:
    found = _having(file, runs)
    if not found:
        return [None] * len(runs)
    pictures, sizes = [], {}
    for run in found:
        picture = visualize.read_png(run.plots / file)
        sizes[run.name] = PictureFile(run.plots / file, picture.shape[1], picture.shape[0])
        pictures.append(visualize.scaled(picture, _cell_width(len(found), PNG_WIDTH)))
    names = [run.name for run in found]
    visualize.write_png(target, visualize.beside(pictures, names=names, columns=columns_of(len(found)), gap=_GAP))
    return [sizes.get(run.name) for run in runs]


def _write_animation(target: Path, file: str, runs: Sequence[Run]) -> list[PictureFile | None]:
    found = _having(file, runs)
    if not found:
        return [None] * len(runs)
    counts = [visualize.count_gif_frames(run.plots / file) for run in found]
    chosen = np.unique(np.linspace(0, max(counts) - 1, min(max(counts), _MOST_FRAMES)).round().astype(int))
    animations, sizes = [], {}
    for run, count in zip(found, counts, strict=True):
        wanted = np.minimum(chosen, count - 1)
        frames, (width, height) = _frames(run.plots / file, set(wanted.tolist()), _cell_width(len(found), GIF_WIDTH))
        sizes[run.name] = PictureFile(run.plots / file, width, height)
        animations.append([frames[index] for index in wanted.tolist()])
    names = [run.name for run in found]
    pages = visualize.frames_beside(animations, names=names, columns=columns_of(len(found)), gap=_GAP)
    visualize.write_gif(target, pages, colours=_GIF_COLOURS)
    return [sizes.get(run.name) for run in runs]


def _frames(path: Path, wanted: set[int], width: int) -> tuple[dict[int, Picture], tuple[int, int]]:
    """The wanted frames by index, scaled to ``width``, and their original size (width, height)."""
    frames, size = {}, (0, 0)
    for index, frame in enumerate(visualize.read_gif(path)):
        size = frame.shape[1], frame.shape[0]
        if index in wanted:
            frames[index] = visualize.scaled(frame, width)
    return frames, size


def _having(file: str, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if (run.plots / file).is_file()]


def _cell_width(count: int, width: int) -> int:
    columns = columns_of(count)
    return (width - _GAP * (columns - 1)) // columns
