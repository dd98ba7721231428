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
from keras_vae.files import written_beside
from keras_vae.training.run_directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np

    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE
    from keras_vae.visualize.style import Picture


def start_tensorflow() -> None:
    """Import TensorFlow without the lines that it logs while it loads, which no setting silences.

    On CPU its graph rewriting is turned off: it takes about 4 s of the time to the first step, and the step was
    measured no faster with it.
    """
    with _stderr_held_back():
        # Deferred: it takes seconds, and help needs none of it.
        import keras  # noqa: F401
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


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
            f"{loaded.name}: its images are {loaded.image_shape}, the model takes {vae.image_shape}; choose --dataset"
        )
    return loaded


def read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as float32 in [0, 1] of ``shape`` (H, W, C), resized where it has another size.

    Raises:
        InputError: when it cannot be read.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    height, width, channels = shape
    try:
        with Image.open(path) as image:
            pixels = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.LANCZOS)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such image file") from error
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error
    return np.asarray(pixels, np.float32).reshape(shape) / 255


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A name beside ``path``, renamed to it when the block is done.

    Raises:
        InputError: when the place cannot be written.
    """
    try:
        with written_beside(path) as beside:
            yield beside
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_picture(path: Path, picture: Picture) -> None:
    """Write a PNG and say so.

    Raises:
        InputError: when the place cannot be written.
    """
    from keras_vae.visualize import write_png

    with writing(path) as beside:
        write_png(beside, picture)
    print(f"wrote {path}")


def say(line: str) -> None:
    """A line for the person, beside the output."""
    print(line, file=sys.stderr)
