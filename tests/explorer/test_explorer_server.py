"""The server answers its own page on this machine, and nobody else."""

import http.client
import socket
import threading

import numpy as np
import pytest
from made_up_explorations import make_exploration

from keras_vae.errors import InputError
from keras_vae.explorer import ExplorerServer, served_page

PAGE = served_page(make_exploration())
BYTES = {"Content-Type": "application/octet-stream"}


class MadeUpModels:
    """Decodes z to an image filled with ``10 · z₀ + label``, and encodes an image to its mean."""

    latent_shape, image_shape = (2,), (6, 5, 1)

    def decode(self, z, label):
        return np.stack([np.full(self.image_shape, 10 * row[0] + label, np.uint8) for row in z])

    def encode(self, image, label):
        mean = np.full(2, image.mean() + label, np.float32)
        return mean, -mean


@pytest.fixture(scope="module")
def server():
    with ExplorerServer(PAGE, MadeUpModels(), num_classes=3) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    """``ask(method, path, body, headers)``: status, headers and content of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    def request(method, path, body=None, **headers):
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    yield request
    connection.close()


def test_the_page_is_served_with_its_policy_as_a_header(ask):
    status, headers, content = ask("GET", "/")
    assert (status, content) == (200, PAGE.html.encode())
    assert headers["Content-Security-Policy"] == f"{PAGE.policy}; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_it_listens_on_the_loopback_address_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_latents_are_decoded_as_the_class_that_is_asked_for(ask):
    z = np.array([[1, 0], [2, 0]], "<f4")
    status, _, content = ask("POST", "/decode?label=2", z.tobytes(), **BYTES)
    assert status == 200
    np.testing.assert_array_equal(np.frombuffer(content, np.uint8).reshape(2, 30), [[12] * 30, [22] * 30])


def test_an_image_is_encoded_on_the_same_connection(ask):
    ask("GET", "/")
    status, _, content = ask("POST", "/encode", bytes([7]) * 30, **BYTES)
    assert status == 200
    np.testing.assert_array_equal(np.frombuffer(content, "<f4"), [7, 7, -7, -7])


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example:{port}"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("request_line", [("GET", "/", None), ("POST", "/decode", bytes(8))], ids=["GET", "POST"])
def test_a_request_for_another_host_or_from_another_page_is_refused(ask, server, headers, request_line):
    given = {name: value.format(port=server.server_port) for name, value in headers.items()}
    status, _, content = ask(*request_line, **BYTES, **given)
    assert (status, content) == (403, b"Forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_page_s_own_requests_are_answered(ask, server, host):
    own = f"{host}:{server.server_port}"
    status, _, _ = ask("POST", "/decode", bytes(8), Host=own, Origin=f"http://{own}", **BYTES)
    assert status == 200


@pytest.mark.parametrize("path", ["/index.html", "/etc/passwd", "/../setup.cfg", "/decode", "/favicon.ico"])
def test_nothing_else_is_served(ask, path):
    assert ask("GET", path)[0] == 404
    assert path == "/decode" or ask("POST", path, b"", **BYTES)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_are_not_known(ask, method):
    assert ask(method, "/")[0] == 501


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/decode", bytes(7), {}, 400),
        ("/decode", b"", {}, 400),
        ("/decode", bytes(8 * 65), {}, 400),
        ("/decode", np.array([np.nan, 0], "<f4").tobytes(), {}, 400),
        ("/decode?label=3", bytes(8), {}, 400),
        ("/decode?label=-1", bytes(8), {}, 400),
        ("/decode?label=1e9", bytes(8), {}, 400),
        ("/encode", bytes(29), {}, 400),
        ("/encode", bytes(30), {"Content_Type": "text/plain"}, 415),
        ("/encode", None, {"Content_Length": "99999999999"}, 400),
        ("/encode", None, {"Content_Length": "-1"}, 400),
        ("/encode", None, {"Content_Length": "x"}, 400),
    ],
)
def test_what_is_no_latent_and_no_image_is_refused(ask, path, body, headers, status):
    assert ask("POST", path, body, **{"Content_Type": "application/octet-stream", **headers})[0] == status


def test_a_port_that_is_taken_is_refused_in_a_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use; choose another with --port"):
            ExplorerServer(PAGE, MadeUpModels(), port=port)
