"""The one exception that means "the user can mend this": the command line prints it in one line and exits with 2."""


class InputError(ValueError):
    """Bad input: a value out of range, a file that cannot be read, a directory that is taken.

    The message is one line that says what was wrong, about what, and what to do.
    """
