"""The exceptions that carry a line for the user, the exit code of each, and the name that a line suggests."""

import difflib
import re
from collections.abc import Iterable

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, whatever its case; None when none is."""
    by_lower_case = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[found[0]] if found else None


class InputError(ValueError):
    """Bad input: a value out of range, a file that cannot be read, a directory that is taken. Ends a command with 2.

    The message is one line that says what was wrong, about what, and what to do.
    """

    def __init__(self, message: str) -> None:
        # It quotes names of strangers' files and what is in them: line breaks, and codes that a terminal would obey.
        super().__init__(_CONTROLS.sub(lambda match: ascii(match[0])[1:-1], message))


class ExportError(RuntimeError):
    """An exported file does not do what the model does: not the user's mistake, and not to be published.

    The message is one line that names the file, what was found and what was asked for.
    """


class BatchJobError(RuntimeError):
    """A batch job failed: too many bad images, or its runner. Ends a command with 1.

    The message is one line that says what happened.
    """


class TrainingEndedError(Exception):
    """Training ended early. ``go_on``, set by whom knows it, says how it is resumed, and ends the message."""

    go_on: str | None = None

    def __str__(self) -> str:
        return f"{super().__str__()}; {self.go_on}" if self.go_on else super().__str__()


class TrainingError(TrainingEndedError):
    """Training cannot go on: the disk is full, or the numbers are no longer finite. Ends a command with 1.

    The message is one line that says what happened and what to do.
    """


class TrainingStoppedError(TrainingEndedError):
    """A signal ended training, after a checkpoint. Ends a command with 128 and the signal's number.

    Args:
        message: one line that says how far training had come.
        signal_number: of the signal.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
