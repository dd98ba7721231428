"""The one way in which a model is saved and loaded: a ``.keras`` file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from keras_vae.errors import InputError
from keras_vae.files import written_beside
from keras_vae.models import VAE
from keras_vae.models.keras_file import load_keras_file
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
    model = load_keras_file(path)
    if isinstance(model, VAETrainer):
        model = model.inference_vae
    if not isinstance(model, VAE):
        raise InputError(f"{path}: holds a {type(model).__name__}, not a VAE")
    return model
