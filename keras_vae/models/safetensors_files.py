"""Safetensors files as NumPy arrays. The library safetensors belongs to an extra, so it is imported late."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_vae.errors import InputError

Array = npt.NDArray[Any]

_FLOATS = ("F64", "F32", "F16", "BF16")


class StoredTensors:
    """The tensors of one or several open files, by name; each is read when it is asked for.

    Args:
        handles: what the library gives for an open file, for each file.
    """

    def __init__(self, handles: Mapping[Path, Any]) -> None:
        self._homes = {name: (path, handle) for path, handle in handles.items() for name in handle.keys()}  # noqa: SIM118

    @property
    def names(self) -> list[str]:
        """The names of all tensors."""
        return list(self._homes)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return tuple(self._homes[name][1].get_slice(name).get_shape())

    def read(self, name: str) -> Array:
        """A tensor in float32, whatever kind of floats the file holds.

        Raises:
            InputError: if they are no floats.
        """
        path, handle = self._homes[name]
        kind = handle.get_slice(name).get_dtype()
        if kind not in _FLOATS:
            raise InputError(f"{path}: {name} is {kind}, not one of {', '.join(_FLOATS)}")
        return handle.get_tensor(name).astype(np.float32)


@contextlib.contextmanager
def opened(files: Sequence[Path]) -> Iterator[StoredTensors]:
    """Open files for reading.

    Raises:
        InputError: if the library is not installed, or a file is missing, incomplete or none of safetensors.
    """
    safetensors = _safetensors()
    # Only with this module imported does NumPy know bfloat16 by name, which the library looks it up by.
    import ml_dtypes  # noqa: F401

    with contextlib.ExitStack() as stack:
        handles = {}
        for path in files:
            try:
                handles[path] = stack.enter_context(safetensors.safe_open(path, framework="numpy"))
            except safetensors.SafetensorError as error:
                raise InputError(f"{path}: is damaged, incomplete or no safetensors file ({error})") from error
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
        yield StoredTensors(handles)


def write(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write contiguous arrays as a file that PyTorch's libraries read.

    Raises:
        InputError: if the library is not installed.
        OSError: if the place cannot be written.
    """
    _safetensors()
    from safetensors.numpy import save_file

    # The library makes files that only their owner can read; others here are as the user's umask says.
    path.touch()
    mode = path.stat().st_mode
    # diffusers refuses files that do not say which library's tensors they hold.
    save_file(dict(tensors), path, metadata={"format": "pt"})
    path.chmod(mode)


def _safetensors() -> Any:
    try:
        import safetensors
    except ImportError as error:
        raise InputError("diffusers files need the library safetensors: pip install keras-vae[diffusers]") from error
    return safetensors
