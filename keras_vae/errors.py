"""Exceptions whose message is one line for the user, their exit codes, and the names that messages suggest."""

import difflib
import re
from collections.abc import Iterable

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, ignoring case; None if none is similar."""
    by_lower_case = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[found[0]] if found else None


def first_line(error: Exception) -> str:
    """What an exception says first, or else its name; one line of at most 200 characters."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


class InputError(ValueError):
    """Bad input: a value out of range, an unreadable file, a directory that is taken. A command exits with code 2.

    The message is one line that says what is wrong, where, and what to do.
    """

    def __init__(self, message: str) -> None:
        # Messages quote untrusted file names and contents, which may hold line breaks and terminal control codes.
        super().__init__(_CONTROLS.sub(lambda match: ascii(match[0])[1:-1], message))


class ExportError(RuntimeError):
    """An exported file does not compute what the model computes. Not the user's mistake; do not publish it.

    The message is one line that names the file, the value found and the value expected.
    """


class BatchJobError(RuntimeError):
    """A batch job failed: too many images were bad, or its runner failed. A command exits with code 1.

    The message is one line that says what happened.
    """


class TrainingEndedError(Exception):
    """Training ended early. The caller may set ``go_on`` to say how to resume; the message ends with it."""

    go_on: str | None = None

    def __str__(self) -> str:
        return f"{super().__str__()}; {self.go_on}" if self.go_on else super().__str__()


class TrainingError(TrainingEndedError):
    """Training cannot go on: the disk is full, or the numbers are no longer finite. A command exits with code 1.

    The message is one line that says what happened and what to do.
    """


class TrainingStoppedError(TrainingEndedError):
    """A signal ended training after a checkpoint. A command exits with code 128 plus the signal's number.

    Args:
        message: one line that says how far training got.
        signal_number: the signal's number.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
