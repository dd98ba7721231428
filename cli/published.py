"""Published models by name, and error messages for a RUN that is not a model."""

from __future__ import annotations

import os
from pathlib import Path

from keras_vae.config import PUBLISHED, DataConfig, published_run
from keras_vae.errors import InputError, nearest

# Where `train` puts runs by default.
_RUNS = Path("runs")


def published_name(run: Path) -> str | None:
    """The published model that ``run`` names, or None. An existing file or folder of that name takes precedence."""
    name = os.fspath(run)
    return name if name in PUBLISHED and not os.path.lexists(run) else None


def published_data(name: str) -> DataConfig:
    """The full data set that a published model was trained on; the bundled sample never replaces it."""
    data = published_run(name).data
    return data.replace(dataset="mnist") if data.dataset == "auto" else data


def own_run(name: str) -> Path | None:
    """The user's own run with the name of a published model, which the user may have meant."""
    run = _RUNS / name
    return run if run.is_dir() else None


def no_model(run: Path) -> InputError:
    """The error if nothing exists at ``run``: it lists the published models and suggests the nearest path or name."""
    known = {*PUBLISHED, *_inside(run.parent), *_inside(_RUNS)}
    near = own_run(os.fspath(run)) or nearest(os.fspath(run), sorted(known))
    hint = f"; did you mean {near}?" if near else ""
    return InputError(
        f"{run}: no such run directory, .keras file or exported model, and no published model "
        f"({', '.join(PUBLISHED)}){hint}"
    )


def not_a_model(folder: Path) -> InputError:
    """The error if ``folder`` is neither a run nor an exported model: it suggests one inside of it."""
    inside = next((path for path in sorted(map(Path, _inside(folder))) if _holds_model(path)), None)
    hint = f"; did you mean {inside}?" if inside else ""
    return InputError(f"{folder}: is neither a run directory (it has no config.json) nor an exported model{hint}")


def _holds_model(path: Path) -> bool:
    return path.suffix == ".keras" or any(path.glob("config.json")) or any(path.glob("*/saved_model.pb"))


def _inside(folder: Path) -> list[str]:
    """Candidates in a folder, as a user would type them; none if it cannot be read."""
    try:
        return [os.fspath(path) for path in folder.iterdir() if path.is_dir() or path.suffix == ".keras"]
    except OSError:
        return []
