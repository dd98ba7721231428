"""Warnings about training that goes wrong, and its end once it cannot continue."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import keras
import numpy as np

from keras_vae.callbacks.history import TEST_PREFIX
from keras_vae.errors import TrainingError

MOST_SKIPPED = 20
# Reading a variable waits for the device, so that is not done after every step.
_STEPS_BETWEEN_LOOKS = 10
# A discriminator that is right, or wrong, about this share of all patches teaches the decoder nothing.
_OUTRIGHT = 0.995


class Watch(keras.callbacks.Callback):
    """Ends training when steps no longer change anything, and warns once about each kind of collapse.

    Args:
        file: where warnings go; stderr by default.

    Raises, while training:
        TrainingError: if ``MOST_SKIPPED`` steps in a row, or a few more, had a loss or gradient that is not finite.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        super().__init__()
        self.file = file or sys.stderr
        self._warned: set[str] = set()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if (batch + 1) % _STEPS_BETWEEN_LOOKS and batch + 1 != self.params["steps"]:
            return
        skipped = int(np.array(self.model.skipped_in_a_row))
        if skipped >= MOST_SKIPPED:
            raise TrainingError(
                f"{self._not_finite()} was not finite in the last {skipped} steps, which changed no weight; try a "
                "smaller --learning-rate or --precision float32 in a new run"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if logs.get(f"{TEST_PREFIX}active_units") == 0 and self.model.vae.variational:
            self._warn(
                "posterior collapse: no latent dimension carries information about the images (active units 0); try a "
                "smaller --beta, a longer --beta-warmup or --free-bits 0.1"
            )
        real, fake = (logs.get(f"{name}_accuracy") for name in ("real", "fake"))
        if real is None or fake is None:
            return
        if min(real, fake) > _OUTRIGHT:
            self._warn(
                "the discriminator tells every patch apart, so the decoder learns nothing from it; try a smaller "
                "--discriminator-learning-rate or a larger --adversarial-weight"
            )
        if min(real, fake) < 1 - _OUTRIGHT and max(real, fake) > _OUTRIGHT:
            self._warn(
                "the discriminator gives one answer to every patch (collapse); try a smaller "
                "--discriminator-learning-rate or --adversarial-loss hinge"
            )

    def _not_finite(self) -> str:
        finite = dict(zip(self.model.means, np.array(self.model.finite_means), strict=True))
        # The parts of the loss come first: if one is not finite, neither are the sums and gradients.
        parts = ("nll", "kl", "lpips", "adversarial", "feature_adversarial", "discriminator", "feature_discriminator")
        return next((name for name in parts if not finite.get(name, True)), "a gradient")

    def _warn(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            print(f"warning: {line}", file=self.file, flush=True)
