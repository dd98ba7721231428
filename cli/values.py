"""Types of option values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from keras_vae.errors import InputError, nearest
from keras_vae.training.checkpoint_interval import CheckpointInterval


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of Click
    """Integers separated by commas: ``32,64``."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(int(item) for item in value.split(","))
        except ValueError:
            self.fail(f"{value!r:.60} is not a list of whole numbers separated by commas", param, context)


class Size(click.ParamType):  # type: ignore[type-arg]  # as above
    """Height and width in pixels: ``48x64``, or ``64`` for both."""

    name = "H[xW]"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        height, _, width = value.lower().replace("×", "x").partition("x")
        try:
            return int(height), int(width or height)
        except ValueError:
            self.fail(f"{value!r:.60} is not a size H or HxW in pixels", param, context)


class Latent(click.ParamType):  # type: ignore[type-arg]  # as above
    """A vector's size, ``16``, or a spatial latent's channels, height and width, ``4x7x7``, which becomes (7, 7, 4)."""

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
            self.fail(f"{value!r:.60} is not a latent size such as 16, or 4x7x7 for 4 channels of 7×7", param, context)
        return height, width, channels


class Choice(click.Choice):  # type: ignore[type-arg]  # as above
    """One of several words; the error for another word suggests the nearest one."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        try:
            return super().convert(value, param, context)
        except click.BadParameter as error:
            near = nearest(str(value), self.choices)
            self.fail(f"{error.message} Did you mean {near}?" if near else error.message, param, context)


class FilePath(click.ParamType):  # type: ignore[type-arg]  # as above
    """A path that may or may not exist; refused if it cannot be looked up."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Path:
        path = Path(value)
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:  # the name is too long, or a folder may not be searched
            self.fail(f"{os.fspath(path)[:100]}: {error.strerror}", param, context)
        return path


class Interval(click.ParamType):  # type: ignore[type-arg]  # as above
    """Epochs between checkpoints, ``5``, or minutes, ``30min``."""

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
