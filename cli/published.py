"""Published models by name, and the answer where RUN names no model."""

from __future__ import annotations

import os
from pathlib import Path

from keras_vae.config import PUBLISHED, DataConfig, preset
from keras_vae.errors import InputError, nearest

# The runs that `train` makes unless it is told otherwise.
_RUNS = Path("runs")


def published_name(run: Path) -> str | None:
    """The published model that ``run`` names, or None. Anything that exists under that path comes first."""
    name = os.fspath(run)
    return name if name in PUBLISHED and not os.path.lexists(run) else None


def published_data(name: str) -> DataConfig:
    """The data set that a published model was trained on, all of it; it is never replaced by the bundled sample."""
    return preset(name).data.replace(dataset="mnist")


def own_run(name: str) -> Path | None:
    """The user's own run of a published model's name, for which that could be meant."""
    run = _RUNS / name
    return run if run.is_dir() else None


def no_model(run: Path) -> InputError:
    """What to raise where there is nothing at ``run``: it names the published models and the nearest path or name."""
    known = {*PUBLISHED, *_inside(run.parent), *_inside(_RUNS)}
    near = own_run(os.fspath(run)) or nearest(os.fspath(run), sorted(known))
    hint = f"; did you mean {near}?" if near else ""
    return InputError(
        f"{run}: no such run directory, .keras file or exported model, and no published model "
        f"({', '.join(PUBLISHED)}){hint}"
    )


def not_a_model(folder: Path) -> InputError:
    """What to raise where ``folder`` is neither a run nor an exported model: it names one that lies in it."""
    inside = next((path for path in sorted(map(Path, _inside(folder))) if _holds_model(path)), None)
    hint = f"; did you mean {inside}?" if inside else ""
    return InputError(f"{folder}: is neither a run directory (it has no config.json) nor an exported model{hint}")


def _holds_model(path: Path) -> bool:
    return path.suffix == ".keras" or any(path.glob("config.json")) or any(path.glob("*/saved_model.pb"))


def _inside(folder: Path) -> list[str]:
    """The paths in a folder, as they would be typed; none where it cannot be read."""
    try:
        return [os.fspath(path) for path in folder.iterdir() if path.is_dir() or path.suffix == ".keras"]
    except OSError:
        return []
