"""A picture that cannot be drawn: a warning, and training goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from keras_vae.errors import first_line


class Attempts:
    """Turns an exception in the drawing of a picture into one warning for that picture.

    A full disk or a missing folder is no fault of the picture: that `OSError` is raised as usual.

    Args:
        file: where warnings go; stderr by default.

    Example:
        ```python
        attempts = Attempts()
        with attempts.at("samples.png"):
            write_png(path, samples_picture(vae, 100, seed=0))
        ```
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = file
        self._failed: set[str] = set()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Run the block that draws ``name``; if it fails, warn, the first time that it does."""
        try:
            yield
        except Exception as error:
            # Pillow raises OSErrors of its own, which have no number.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if name not in self._failed:
                self._failed.add(name)
                line = f"warning: {name}: could not be drawn ({type(error).__name__}: {first_line(error)})"
                print(line, file=self.file or sys.stderr, flush=True)
