"""Loading a ``.keras`` file from anywhere."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import keras

from keras_vae.errors import InputError, first_line


def load_keras_file(path: Path) -> Any:
    """The model in a ``.keras`` file, of whatever kind. Nothing in the file is run (``safe_mode``).

    Raises:
        InputError: when the file is missing, damaged or unsafe.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such .keras file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .keras file")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or hostile archive makes Keras raise
        if found := re.search(r"Could not locate class '(\w{1,80})'", str(error)):
            raise InputError(
                f"{path}: holds a class of your own, {found[1]}, which the commands do not know; import the class in "
                "Python and use keras.saving.load_model"
            ) from error
        raise InputError(f"{path}: cannot be loaded ({first_line(error)})") from error
