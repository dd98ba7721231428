"""Ctrl-C and SIGTERM while a model trains: a checkpoint first, then the end."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

import keras

from keras_vae.callbacks.progress import CLEAR
from keras_vae.training.distribution import Distribution

# To ask, the workers have to wait for each other.
_STEPS_BETWEEN_QUESTIONS = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


class StopSignals:
    """A context in which the first Ctrl-C or SIGTERM only sets ``received``; the next one is a `KeyboardInterrupt`.

    Outside of the main thread, where Python lets no signal be handled, it changes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give signals back the handlers that they had before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        # On a terminal the line replaces the bar, and the ^C that the terminal shows.
        # Not print: the signal may have come while that was writing.
        start = CLEAR if os.isatty(_STDERR) else ""
        line = f"{start}stopping after this step, with a checkpoint; once more stops at once\n"
        os.write(_STDERR, line.encode())


class StopTogether(keras.callbacks.Callback):
    """Sets ``received``, as in `StopSignals`, on every worker after the same step if one of them received a signal.

    Args:
        own: the signals of this process.
        distribution: the workers; all of them have this callback at the same place in their list.
    """

    def __init__(self, own: StopSignals, distribution: Distribution) -> None:
        super().__init__()
        self.own = own
        self.distribution = distribution
        self.received: int | None = None

    def release(self) -> None:
        """As `StopSignals.release`."""
        self.own.release()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._asked_after = -1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch - self._asked_after >= _STEPS_BETWEEN_QUESTIONS:
            self._asked_after = batch
            self._ask()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._ask()

    def _ask(self) -> None:
        if self.distribution.sum_over_workers(int(self.own.received is not None)):
            self.received = self.own.received or signal.SIGTERM
