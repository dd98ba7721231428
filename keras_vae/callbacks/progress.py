"""Progress on a terminal as a bar, elsewhere as one plain line an epoch."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, TextIO

import keras
from tqdm import tqdm

from keras_vae.callbacks.history import TEST_PREFIX

# Reading the parts waits for the device.
SECONDS_BETWEEN_DRAWINGS = 0.1
SHOWN_PARTS = ("nll", "kl", "lpips", "adversarial", "discriminator", "mse")
SHOWN_TEST_METRICS = ("mse", "psnr", "ssim", "lpips", "kl", "elbo")


class Progress(keras.callbacks.Callback):
    """A bar with the loss's parts, images/s and the time left of the run; and each epoch a line with its test metrics.

    Args:
        batch_size: images in a step.
        file: where it goes; a bar is drawn where this is a terminal.
    """

    def __init__(self, batch_size: int, file: TextIO | None = None) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.file = file or sys.stdout

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._begin = time.perf_counter()
        self._drawn_at = -math.inf
        self._done_before: int | None = None
        self._bar = tqdm(
            total=self.params["steps"] * self.batch_size,
            desc=self._name(),
            unit="img",
            leave=False,
            dynamic_ncols=True,
            disable=not self.file.isatty(),
            file=self.file,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._bar.disable:
            return
        done = (batch + 1) * self.batch_size
        if self._done_before is None:
            self._done_before = batch * self.batch_size
        now = time.perf_counter()
        if now - self._drawn_at < SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn_at = now
        rate = (done - self._done_before) / (now - self._begin)
        steps_left = (self.params["epochs"] - self._epoch) * self.params["steps"] - batch - 1
        left = tqdm.format_interval(steps_left * self.batch_size / rate)
        parts = _join(self.model.means_so_far(), SHOWN_PARTS)
        self._bar.set_postfix_str(f"{parts} · run ends in {left}", refresh=False)
        self._bar.update(done - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._bar.close()
        logs = logs or {}
        seconds = time.perf_counter() - self._begin
        tested = {name.removeprefix(TEST_PREFIX): value for name, value in logs.items() if name.startswith(TEST_PREFIX)}
        print(
            f"{self._name()} · train {_join(logs, SHOWN_PARTS)} · test {_join(tested, SHOWN_TEST_METRICS)} "
            f"· {seconds:.0f} s",
            file=self.file,
            flush=True,
        )

    def _name(self) -> str:
        return f"epoch {self._epoch + 1}/{self.params['epochs']}"


def _join(logs: dict[str, Any], names: tuple[str, ...]) -> str:
    return " ".join(f"{name} {float(logs[name]):.4g}" for name in names if name in logs)
