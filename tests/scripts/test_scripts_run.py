"""The maintainers' scripts, on small input and without a network."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


def run(name, *arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def index():
    """The address of a package index, and its projects: name → what differs from a maintained project."""
    projects = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.strip("/")
            uploaded = datetime.now(UTC) - projects.get(name, {}).get("age", timedelta(days=30))
            file = {"filename": f"{name}-1.0.tar.gz", "upload-time": uploaded.isoformat(), "yanked": False}
            page = {"files": [file], "project-status": {"status": projects.get(name, {}).get("status", "active")}}
            body = json.dumps(page).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", projects
    server.shutdown()
    server.server_close()


def test_check_dependencies_accepts_what_is_maintained(index):
    done = run("check_dependencies.py", PIP_INDEX_URL=index[0], no_proxy="*")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"good"}
    assert "tensorflow" in done.stdout


def test_check_dependencies_names_what_is_archived_or_old(index):
    address, projects = index
    projects |= {"keras": {"status": "archived"}, "scipy": {"age": timedelta(days=1000)}}

    done = run("check_dependencies.py", PIP_INDEX_URL=address, no_proxy="*")

    assert done.returncode == 1
    bad = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("bad")]
    assert bad[0] == "keras: is archived"
    assert bad[1].startswith("scipy: has had no release since")
    assert len(bad) == 2


@pytest.mark.slow
def test_the_picture_of_the_architecture_is_what_draw_architecture_draws(tmp_path):
    picture = tmp_path / "architecture.svg"

    done = run("draw_architecture.py", "--out", picture)

    assert done.returncode == 0, done.stderr
    assert picture.read_bytes() == (ROOT / "docs" / "assets" / "architecture.svg").read_bytes()


@pytest.mark.slow
def test_run_notebook_writes_the_outputs(tmp_path):
    path = tmp_path / "notebook.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")])
    path.write_text(nbformat.writes(notebook), encoding="utf-8")

    done = run("run_notebook.py", path)

    assert done.returncode == 0, done.stderr
    (cell,) = nbformat.read(path, as_version=4).cells
    assert [output.text for output in cell.outputs] == ["42\n"]


@pytest.fixture
def script():
    """The module scripts/publish_models.py."""
    specification = importlib.util.spec_from_file_location("publish_models", SCRIPTS / "publish_models.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_publish_models_trains_photographs_on_small_squares_and_then_on_large_ones(script, tmp_path, monkeypatch):
    made = []

    def command(*arguments):
        made.append(" ".join(map(str, arguments)))
        if arguments[0] == "train":
            (folder := Path(arguments[-1])).mkdir()
            (folder / "model.keras").touch()

    monkeypatch.setattr(script, "keras_vae", command)
    monkeypatch.setattr(script, "install", lambda name, run: None)
    monkeypatch.setattr(script, "free_photographs", lambda folder: "free")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["publish_models.py", "photos-f4", "photos-f8", "--run-dir", "."])

    script.main()

    assert made[:4] == [
        "train --preset photos-f4 --dataset folder:photos --run-dir photos-f4-crop64",
        "train --from photos-f4-crop64 --crop 256 --batch-size 4 --epochs 3 --learning-rate 0.001 --ema 0.99 "
        "--run-dir photos-f4",
        "evaluate photos-f4",
        f"export photos-f4 --to {tmp_path / 'saved_models'} --name photos-f4 --dataset folder:free",
    ]
    assert [line.split()[0] for line in made[4:]] == ["train", "train", "evaluate"]


@pytest.mark.slow
def test_publish_models_trains_measures_exports_and_installs_once(script, tmp_path, monkeypatch):
    small = (
        *("--widths", "8,8", "--groups", "4", "--attention-resolution", "0", "--no-generative-skips"),
        *("--adversarial-weight", "0", "--perceptual-weight", "0", "--batch-size", "500", "--epochs", "1"),
    )
    added = {"train": small, "evaluate": ("--importance-samples", "2"), "export": ("--no-tflite",)}
    installed_command, made = script.keras_vae, []

    def command(name, *arguments):
        made.append(name)
        installed_command(name, *arguments, *added[name])

    monkeypatch.setattr(script, "keras_vae", command)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "PUBLISHED_WEIGHTS", tmp_path / "published")
    arguments = ["mnist-latent2", "--mnist", "sample", "--run-dir", str(tmp_path / "runs")]
    monkeypatch.setattr(sys, "argv", ["publish_models.py", *arguments])

    script.main()
    script.main()

    assert made == ["train", "evaluate", "export"]
    assert (tmp_path / "published" / "mnist-latent2.weights.h5").is_file()
    assert list((tmp_path / "saved_models" / "mnist-latent2").glob("*/saved_model.pb"))
    pictures = {path.name for path in (tmp_path / "docs" / "assets" / "latent_2").iterdir()}
    assert pictures == set(script.PICTURES)
