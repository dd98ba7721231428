"""Values of options: what is typed, and what it becomes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from keras_vae.errors import InputError, nearest
from keras_vae.training.checkpoint_interval import CheckpointInterval


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases of Click alone
    """Whole numbers joined by commas: ``32,64``."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(int(item) for item in value.split(","))
        except ValueError:
            self.fail(f"{value!r:.60} is not whole numbers joined by commas", param, context)


class Size(click.ParamType):  # type: ignore[type-arg]  # as above
    """Height and width in pixels: ``64``, which is both, or ``48x64``."""

    name = "H[xW]"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        height, _, width = value.lower().replace("×", "x").partition("x")
        try:
            return int(height), int(width or height)
        except ValueError:
            self.fail(f"{value!r:.60} is no size H or HxW in pixels", param, context)


class Latent(click.ParamType):  # type: ignore[type-arg]  # as above
    """The size of a vector, ``16``, or channels, height and width of a spatial latent, ``4x7x7``: then (h, w, c)."""

    name = "N|CxHxW"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            sizes = [int(size) for size in value.lower().replace("×", "x").split("x")]
            if len(sizes) == 1:
                return sizes[0]
            channels, height, width = sizes
        except ValueError:
            self.fail(f"{value!r:.60} is no latent such as 16, or 4x7x7 for 4 channels of 7×7", param, context)
        return height, width, channels


class Choice(click.Choice):  # type: ignore[type-arg]  # as above
    """One of several words; another is answered with the nearest of them."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        try:
            return super().convert(value, param, context)
        except click.BadParameter as error:
            near = nearest(str(value), self.choices)
            self.fail(f"{error.message} Did you mean {near}?" if near else error.message, param, context)


class FilePath(click.ParamType):  # type: ignore[type-arg]  # as above
    """A path, whether or not there is something; refused where that cannot even be looked up."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Path:
        path = Path(value)
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:  # the name is too long, a folder may not be searched
            self.fail(f"{os.fspath(path)[:100]}: {error.strerror}", param, context)
        return path


class Interval(click.ParamType):  # type: ignore[type-arg]  # as above
    """Epochs, ``5``, or minutes, ``30min``, between checkpoints."""

    name = "interval"

    def convert(
        self, value: str | CheckpointInterval, param: click.Parameter | None, context: click.Context | None
    ) -> CheckpointInterval:
        if isinstance(value, CheckpointInterval):
            return value
        try:
            return CheckpointInterval.parse(value)
        except InputError as error:
            self.fail(str(error), param, context)


class StepWindow(click.ParamType):  # type: ignore[type-arg]  # as above
    """Two training steps: ``10:20``."""

    name = "FIRST:LAST"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            first, last = map(int, value.split(":"))
        except ValueError:
            first = last = 0
        if not 1 <= first <= last:
            self.fail(f"{value!r:.60} is not two steps FIRST:LAST, counted from 1", param, context)
        return first, last
