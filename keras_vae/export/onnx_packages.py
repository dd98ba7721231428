"""Whether ONNX files can be written here, known before minutes of work. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import importlib.util

from keras_vae.errors import InputError

_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")


def check_onnx_packages() -> None:
    """Check that the packages of the extra ``onnx`` are installed.

    Raises:
        InputError: naming the first that is not.
    """
    for name in _PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"ONNX export needs {name}, which is not installed; pip install 'keras-vae[onnx]'")
