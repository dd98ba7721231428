"""The model that a run starts from, at its start and when the run is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory

from .runtime import exported_version, open_model

if TYPE_CHECKING:
    from keras_vae.models import VAE


def check_apart(source: Path, run_dir: Path) -> None:
    """Check that the run would not replace the model that it starts from.

    Raises:
        InputError: if the model is in the run's folder.
    """
    if run_dir.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{run_dir}: holds the model that --from names; choose another --run-dir")


def open_source(path: Path) -> VAE:
    """The model at ``path``, or the published one of that name.

    Raises:
        InputError: if there is none, or it cannot be trained.
    """
    if exported_version(path):
        raise InputError(
            f"{path}: is an exported model, which cannot be trained; start from its run or its .keras file"
        )
    return open_model(path)[0]


def serialized(vae: VAE) -> dict[str, Any]:
    """The model's architecture, for `recorded_source`."""
    import keras  # deferred: it takes seconds

    found: dict[str, Any] = keras.saving.serialize_keras_object(vae)
    return found


def recorded_source(config: RunConfig, run: RunDirectory) -> VAE:
    """A model of the recorded architecture, whose weights a checkpoint holds; before the first one the source itself.

    Raises:
        InputError: if there is no record of it, or the source is gone.
    """
    from keras_vae.training.checkpoints import has_begun  # deferred: it imports TensorFlow

    assert config.from_model is not None
    if not has_begun(run.checkpoints):
        return open_source(Path(config.from_model))
    import keras

    from keras_vae.models import VAE

    try:
        vae = keras.saving.deserialize_keras_object(run.read_recorded()["model"])
    except Exception as error:  # whatever a changed record makes Keras raise
        raise InputError(f"{run.config}: its record of the model cannot be read") from error
    if not isinstance(vae, VAE):
        raise InputError(f"{run.config}: its record of the model describes none")
    return vae
