"""Ctrl-C and SIGTERM while a model trains: a checkpoint first, then the end."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STDERR = 2


class StopSignals:
    """While it is entered, the first Ctrl-C or SIGTERM only sets ``received``; another one is a `KeyboardInterrupt`.

    Outside of the main thread, where Python lets no signal be handled, it changes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> StopSignals:
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
        # Not print: the signal may have come while that was writing.
        os.write(_STDERR, b"stopping after this step, with a checkpoint; once more stops at once\n")
