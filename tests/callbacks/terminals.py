"""A pseudo-terminal of a given width, and the text that it shows."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading

_CODES = re.compile(r"\x1b\[K|[\r\n]|[^\x1b\r\n]+")


class Screen:
    """The lines of a terminal that understands the codes of the bar; ``seen`` has every state of the last line."""

    def __init__(self, width):
        self.width = width
        self.lines = [""]
        self.seen = []
        self._column = 0

    def write(self, text):
        for code in _CODES.findall(text):
            if code == "\n":
                self.lines.append("")
                self._column = 0
            elif code == "\r":
                self._column = 0
            elif code == "\x1b[K":
                self.lines[-1] = self.lines[-1][: self._column]
            else:
                line = self.lines[-1]
                self.lines[-1] = line[: self._column] + code + line[self._column + len(code) :]
                self._column += len(code)
                assert self._column < self.width or "|" not in code, f"wraps at {self.width} columns: {code}"
                self.seen.append(self.lines[-1])


@contextlib.contextmanager
def terminal(width):
    """A file that is a terminal of ``width`` columns, and the function that waits for and returns its `Screen`."""
    controller, terminal_end = pty.openpty()
    fcntl.ioctl(terminal_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    received = []

    def read():
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(controller, 65536):
                received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    file = os.fdopen(terminal_end, "w", encoding="utf-8")

    def look():
        file.close()
        reader.join()
        screen = Screen(width)
        screen.write(b"".join(received).decode().replace("\r\n", "\n"))
        return screen

    try:
        yield file, look
    finally:
        file.close()
        reader.join()
        os.close(controller)
