"""Starting TensorFlow quietly, and opening what a command was given."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE


def start_tensorflow() -> None:
    """Import TensorFlow without the lines that it logs while it loads, which no setting silences."""
    with _stderr_held_back():
        import tensorflow  # noqa: F401  (deferred: it takes seconds, and help needs none of it)
        import keras  # noqa: F401


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Keep what libraries write to the file descriptor of stderr; show it only where the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def open_model(path: Path) -> tuple[VAE, RunConfig | None]:
    """The model in a run directory or a ``.keras`` file, and the run's description if there is one.

    Raises:
        InputError: when there is none, or it cannot be loaded.
    """
    config, model_path = None, path
    if path.is_dir():
        run = RunDirectory.open(path)
        config, model_path = run.read_config(), run.model
        if not model_path.is_file():
            raise InputError(
                f"{path}: has no model yet; finish the run with: keras-vae train --resume --run-dir {path}"
            )
    elif not path.exists():
        raise InputError(f"{path}: no such run directory or .keras file")
    start_tensorflow()
    from keras_vae.training.saving import load_model

    return load_model(model_path), config


def open_dataset(config: RunConfig | None, dataset: str | None, data_dir: str | None, vae: VAE) -> ImageDataset:
    """The data set that was asked for, or else the one that the run was trained on; its images fit the model.

    Raises:
        InputError: when it is not to be had, or its images have another shape.
    """
    from keras_vae.data import load_dataset

    known = config.data if config else None
    loaded = load_dataset(
        dataset or (known.dataset if known else "auto"), data_dir or (known.data_dir if known else None), say=say
    )
    if loaded.image_shape != tuple(vae.image_shape):
        raise InputError(
            f"{loaded.name}: its images are {loaded.image_shape}, the model's {tuple(vae.image_shape)}; choose --dataset"
        )
    return loaded


def say(line: str) -> None:
    """A line for the person, beside the output."""
    print(line, file=sys.stderr)
