"""A server for one page on this machine alone: it gives the page, and encodes and decodes for it."""

from __future__ import annotations

import errno
import math
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from keras_vae.errors import InputError
from keras_vae.explorer.lite_models import LiteModels
from keras_vae.explorer.page import Page

ADDRESS = "127.0.0.1"
# Latents in one request, and bytes of its body.
MOST_LATENTS, MOST_BYTES = 64, 64 << 20
# Seconds that a silent connection is kept.
PATIENCE = 120
_DIGITS = re.compile(r"[0-9]{1,9}")


def check_port(port: int) -> None:
    """Check that a server could listen on ``port`` now.

    Raises:
        InputError: if it is taken or may not be used.
    """
    with socket.socket() as probe:
        # As the server does: a port that was left a moment ago may be taken again.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
            probe.listen()
        except OSError as error:
            raise _refused(port, error) from error


class ExplorerServer(ThreadingHTTPServer):
    """Serves a page on 127.0.0.1.

    ``GET /`` gives the page. ``POST /decode?label=K`` takes latents, float32 (N, L), and gives pixels, uint8
    (N, H, W, C). ``POST /encode?label=K`` takes pixels, uint8 (H, W, C), and gives ``mean`` and ``log_var``, float32
    (2, L). Numbers are little-endian, and the label is 0 where it is left out. Every other request is refused.

    Only a page from this address is answered. A request that names another host comes from a page of that name, whose
    owner lets it lead here (DNS rebinding).

    Args:
        page: the page.
        models: what encodes and decodes.
        num_classes: the number of labels.
        port: 0 takes a free one.

    Raises:
        InputError: if the port is taken or may not be used.
    """

    daemon_threads = True

    def __init__(self, page: Page, models: LiteModels, *, num_classes: int = 1, port: int = 0) -> None:
        self.page, self.models, self.num_classes = page, models, num_classes
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise _refused(port, error) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a browser that closes a page breaks off its requests."""


class _Handler(BaseHTTPRequestHandler):
    server: ExplorerServer
    protocol_version = "HTTP/1.1"  # whose connections stay open
    server_version, sys_version = "keras-vae", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if not self._is_from_here():
            return
        if urlsplit(self.path).path != "/":
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        self._answer(self.server.page.html.encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        if not self._is_from_here():
            return
        address = urlsplit(self.path)
        work = {"/decode": self._decode, "/encode": self._encode}.get(address.path)
        label = _whole(parse_qs(address.query).get("label", ["0"])[0], self.server.num_classes - 1)
        length = _whole(self.headers.get("Content-Length", ""), MOST_BYTES)
        if work is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif self.headers.get("Content-Type") != "application/octet-stream":
            # Other pages' forms cannot send this type.
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif label is None or length is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            answer = work(self.rfile.read(length), label)
            if answer is None:
                self._refuse(HTTPStatus.BAD_REQUEST)
            else:
                self._answer(answer, "application/octet-stream")

    def _decode(self, body: bytes, label: int) -> bytes | None:
        shape = self.server.models.latent_shape
        count, rest = divmod(len(body), 4 * math.prod(shape))
        if rest or not 1 <= count <= MOST_LATENTS:
            return None
        z = np.frombuffer(body, "<f4").reshape(count, *shape).astype(np.float32)
        return self.server.models.decode(z, label).tobytes() if np.isfinite(z).all() else None

    def _encode(self, body: bytes, label: int) -> bytes | None:
        shape = self.server.models.image_shape
        if len(body) != math.prod(shape):
            return None
        mean, log_var = self.server.models.encode(np.frombuffer(body, np.uint8).reshape(shape), label)
        return np.stack([mean, log_var]).astype("<f4").tobytes()

    def _is_from_here(self) -> bool:
        """Whether the request names this server and comes from its own page; if not, it is refused."""
        origin = self.headers.get("Origin")
        is_own = origin is None or origin.removeprefix("http://") in self.server.hosts
        if self.headers.get("Host") in self.server.hosts and is_own:
            return True
        self._refuse(HTTPStatus.FORBIDDEN)
        return False

    def _refuse(self, status: HTTPStatus) -> None:
        # What may be left of the request must not be taken for the next one.
        self.close_connection = True
        self._answer(status.phrase.encode(), "text/plain; charset=utf-8", status)

    def _answer(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": f"{self.server.page.policy}; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **({"Connection": "close"} if self.close_connection else {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for each request."""


def _refused(port: int, error: OSError) -> InputError:
    reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
    return InputError(f"port {port} {reason}; choose another with --port")


def _whole(text: str, most: int) -> int | None:
    """The number from 0 to ``most`` that ``text`` is; None if it is no such number."""
    return int(text) if _DIGITS.fullmatch(text) and int(text) <= most else None
