"""``keras-vae explore`` refuses what it cannot do before any work."""

import re
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_vae import explorer
from keras_vae.errors import InputError
from keras_vae_cli import explore, main, runtime


@pytest.fixture
def refusal(tmp_path, monkeypatch, capfd):
    """``refusal(arguments…)``: the line of a command that is refused in an empty folder, without npm or a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "start_tensorflow", lambda: pytest.fail("work began"))

    def run(*arguments):
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["keras-vae", "explore", *map(str, arguments)])
        assert main._run(False) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert sorted(tmp_path.rglob("*")) == before
        return line

    return run


def test_a_place_that_is_taken_or_has_another_ending_is_refused(refusal, tmp_path):
    (tmp_path / "explorer.html").write_text("mine")
    assert "explorer.html: exists already" in refusal("mnist-latent2", "--out", "explorer.html")
    assert "the name must end in .html" in refusal("mnist-latent2", "--out", "explorer.txt")
    assert "there is no folder nowhere" in refusal("mnist-latent2", "--out", "nowhere/explorer.html")


def test_without_a_runtime_a_line_says_how_to_get_one(refusal):
    assert "npm install @litertjs/core@" in refusal("mnist-latent2", "--out", "explorer.html")
    line = refusal("mnist-latent2", "--out", "explorer.html", "--runtime", "node_modules")
    assert "node_modules: no such folder" in line


def test_a_model_that_is_not_there_is_refused(refusal):
    assert "mnist-latent3: no such run directory" in refusal("mnist-latent3")


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_refused(refusal, port):
    assert "--port" in refusal("mnist-latent2", "--port", port)


def test_a_port_that_is_taken_is_refused_before_any_work(refusal):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is in use; choose another with --port" in refusal("mnist-latent2", "--port", port)


def test_a_model_too_large_for_a_page_is_refused_with_its_size():
    part = SimpleNamespace(count_params=lambda: 41_825_000)
    with pytest.raises(InputError, match="are 167 MB in float16, and a page holds 48 MB; leave out --out to serve it"):
        explore._check_size(Path("sd15.keras"), SimpleNamespace(encoder=part, decoder=part))


def test_a_model_whose_latents_are_not_finite_is_refused(monkeypatch):
    from keras_vae.training import posteriors

    images = np.zeros((2, 28, 28, 1), np.uint8)
    latents = np.array([[0, np.nan], [0, 0]], np.float32)
    monkeypatch.setattr(posteriors, "posteriors_of", lambda *arguments: (latents, np.zeros_like(latents), None))
    with pytest.raises(InputError, match="run: its latents are not finite numbers; train it again"):
        explore._exploration(Path("run"), None, SimpleNamespace(name="digits"), images, None)


def test_an_exported_version_without_lite_files_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    images = np.zeros((1, 28, 28, 1), np.uint8)
    with ExitStack() as stack, pytest.raises(InputError, match=r"has no tflite/encoder_fp16\.tflite; export the run"):
        explore._lite_files(tmp_path, None, images, None, "fp16", stack)


@pytest.mark.parametrize("opens_browser", [True, False])
def test_the_page_is_served_until_ctrl_c_and_opened_unless_one_asks_not_to(opens_browser, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(explore.webbrowser, "open", opened.append)
    monkeypatch.setattr(explorer, "LiteModels", lambda encoder, decoder: None, raising=False)

    def interrupted(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(explorer.ExplorerServer, "serve_forever", interrupted)
    exploration = explorer.Exploration(
        name="digits",
        data="digits",
        image_shape=(2, 2, 1),
        latent_shape=(2,),
        images=np.zeros((3, 2, 2, 1), np.uint8),
        means=np.zeros((3, 2), np.float32),
        log_vars=np.zeros((3, 2), np.float32),
    )

    explore._serve(exploration, explore._LiteFiles(Path("a"), Path("b")), 1, None, opens_browser=opens_browser)

    out, err = capsys.readouterr()
    address = re.fullmatch(r"serving digits at (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", out)[1]
    assert opened == ([address] if opens_browser else [])
    assert err == "stopped\n"
