"""The exceptions that carry a line for the user: `InputError` ends a command with 2, `ExportError` with 1."""


class InputError(ValueError):
    """Bad input: a value out of range, a file that cannot be read, a directory that is taken.

    The message is one line that says what was wrong, about what, and what to do.
    """


class ExportError(RuntimeError):
    """An exported file does not do what the model does: not the user's mistake, and not to be published.

    The message is one line that names the file, what was found and what was asked for.
    """
