"""Progress on a terminal as a bar, elsewhere as one plain line for each epoch."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from typing import Any, TextIO

import keras
from tqdm import tqdm

from keras_vae.callbacks.history import TEST_PREFIX

SHOWN_PARTS = ("nll", "kl", "lpips", "adversarial", "discriminator", "mse")
SHOWN_TEST_METRICS = ("mse", "psnr", "ssim", "lpips", "kl", "elbo")
# The parts that a narrow bar keeps, most important first.
MOST_IMPORTANT = ("kl", "mse", "nll", "lpips", "rate", "adversarial", "discriminator")
FEWEST_CELLS, MOST_CELLS = 10, 30
# Reading the parts waits for the device.
SECONDS_BETWEEN_DRAWINGS = 0.1
# The cursor goes to the start of the line, and the line is cleared.
CLEAR = "\r\x1b[K"
# Columns that stay free: the terminal shows ^C behind the bar, and a line that wraps could not be cleared.
_SPARE = 3
_FORMAT = "{name} |{bar}| {percentage:3.0f}%{rest}"


class Progress(keras.callbacks.Callback):
    """A bar with the parts of the loss, images/s and the time left of the run; and for each epoch a line of metrics.

    Args:
        batch_size: images in a step.
        file: where to write; the bar appears only on a terminal.
    """

    def __init__(self, batch_size: int, file: TextIO | None = None) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.file = file or sys.stdout
        # Both are None until they have been measured.
        self._seconds_per_step: float | None = None
        self._stepped_at: float | None = None
        # What an epoch takes besides its steps: evaluation, pictures, a checkpoint.
        self._other_seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._begin = time.perf_counter()
        self._drawn_at = -math.inf
        # Time runs from here; in the first epoch of the process, from the end of the call that compiles.
        self._timed_from: tuple[float, int] | None = None
        if self._stepped_at is None:
            self._draw(0, "compiling the step")
        else:
            self._other_seconds = self._begin - self._stepped_at
            self._timed_from = self._begin, 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done, self._stepped_at = batch + 1, time.perf_counter()
        if self._timed_from is None:
            self._timed_from = self._stepped_at, done
        elif done > self._timed_from[1]:
            self._seconds_per_step = (self._stepped_at - self._timed_from[0]) / (done - self._timed_from[1])
        is_last = done == self.params["steps"]
        if self.file.isatty() and (is_last or self._stepped_at - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS):
            self._drawn_at = self._stepped_at
            self._draw(done, "evaluating" if is_last else self._parts())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.clear()
        logs = logs or {}
        seconds = time.perf_counter() - self._begin
        tested = {name.removeprefix(TEST_PREFIX): value for name, value in logs.items() if name.startswith(TEST_PREFIX)}
        print(
            f"{self._name()} · train {' '.join(_shown(logs, SHOWN_PARTS).values())} "
            f"· test {' '.join(_shown(tested, SHOWN_TEST_METRICS).values())} · {seconds:.0f} s",
            file=self.file,
            flush=True,
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.file.isatty():
            print("training is done: writing the model, then the pictures", file=self.file, flush=True)

    def clear(self) -> None:
        """Remove the bar, so that something else can be written in its place."""
        if self.file.isatty():
            self.file.write(CLEAR)
            self.file.flush()

    def _draw(self, done: int, details: str | dict[str, str]) -> None:
        steps = self.params["steps"]
        if not (steps and self.file.isatty()):  # the first epoch over a generator has no known length
            return
        line = bar_line(self._name(), done / steps, details, self._time_left(done), _width_of(self.file) - _SPARE)
        self.file.write(f"{CLEAR}{line}")
        self.file.flush()

    def _parts(self) -> dict[str, str]:
        shown = _shown(self.model.means_so_far(), SHOWN_PARTS)
        if self._seconds_per_step:
            shown["rate"] = f"{self.batch_size / self._seconds_per_step:,.0f} img/s"
        return shown

    def _time_left(self, done: int) -> str:
        if self._seconds_per_step is None:
            return "" if self._stepped_at is None else "-:-- left"
        epochs = self.params["epochs"] - self._epoch
        steps = epochs * self.params["steps"] - done
        return f"{_clock(steps * self._seconds_per_step + epochs * self._other_seconds)} left"

    def _name(self) -> str:
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"


def bar_line(name: str, share: float, details: str | dict[str, str], left: str, width: int) -> str:
    """One line of at most ``width`` characters, if the name, the percentage and the time left fit into that at all.

    Args:
        name: comes before the bar.
        share: how much of the bar is full, in [0, 1].
        details: a text, or named texts; as many of them as fit are shown, in the order of `MOST_IMPORTANT`.
        left: comes at the end; may be empty.
        width: the most characters to use.
    """
    cells = min(max(FEWEST_CELLS, width // 6), MOST_CELLS)
    room = width - len(f"{name} || 100% · {left}") - cells
    if isinstance(details, str):
        details = {"state": details}
    chosen: list[str] = []
    for key in sorted(details, key=lambda key: MOST_IMPORTANT.index(key) if key in MOST_IMPORTANT else -1):
        needed = len(details[key]) + (1 if chosen else len(" · "))
        if needed > room:
            break
        chosen.append(key)
        room -= needed
    shown = " ".join(text for key, text in details.items() if key in chosen)
    rest = "".join(f" · {text}" for text in (shown, left) if text)
    used = min(width, len(f"{name} || 100%{rest}") + cells)
    return str(tqdm.format_meter(share, 1.0, 0.0, ncols=used, bar_format=_FORMAT, name=name, rest=rest))


def _shown(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    return {name: f"{name} {float(values[name]):.4g}" for name in names if name in values}


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _width_of(terminal: TextIO) -> int:
    """The columns of the terminal; if it does not tell, the environment's COLUMNS, or 80."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or shutil.get_terminal_size().columns
    except OSError:
        return shutil.get_terminal_size().columns
