"""The one way in which a model is saved and loaded: a ``.keras`` file, whole or not at all."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import keras

from keras_vae.errors import InputError
from keras_vae.files import written_beside
from keras_vae.models import VAE
from keras_vae.training.trainer import VAETrainer


def save_model(vae: VAE, path: Path) -> None:
    """Write a ``.keras`` file; an existing one is replaced in one step."""
    with written_beside(path) as beside:
        vae.save(beside)


def load_model(path: Path) -> VAE:
    """Load a ``.keras`` file of a VAE, or of a trainer, whose `inference_vae` it gives.

    Nothing in the file is run (``safe_mode``).

    Raises:
        InputError: when the file is missing, damaged, unsafe or holds another kind of model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such .keras file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .keras file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or hostile archive makes Keras raise
        if found := re.search(r"Could not locate class '(\w{1,80})'", str(error)):
            raise InputError(
                f"{path}: holds a class of your own, {found[1]}, which the commands do not know; import the class in "
                "Python and use keras.saving.load_model"
            ) from error
        raise InputError(f"{path}: cannot be loaded ({first_line(error)})") from error
    if isinstance(model, VAETrainer):
        model = model.inference_vae
    if not isinstance(model, VAE):
        raise InputError(f"{path}: holds a {type(model).__name__}, not a VAE")
    return model


def first_line(error: Exception) -> str:
    """What an exception says first, or else its name; one line of at most 200 characters."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]
