"""A hook of MkDocs that puts the explorer's pages of published models into the site, where LiteRT.js is installed."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from keras_vae.explorer.runtime import INSTALLATION, installed_runtime

MARK = "<!-- live pages -->"
MODELS = ("mnist-latent2", "mnist-latent16")
ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger("mkdocs.hooks.live_pages")
# `mkdocs serve` builds the site after every change, and would wait for the pages each time.
is_build = False


def on_startup(command: str, **_: Any) -> None:
    """Note whether the site is built once."""
    global is_build
    is_build = command == "build"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark by links to the pages, or by a line that says why there are none."""
    return markdown.replace(MARK, _links()) if MARK in markdown else markdown


def on_post_build(config: Any, **_: Any) -> None:
    """Write the pages beside the site's own."""
    runtime = _runtime()
    if runtime is None:
        log.info("The site has no live pages of the explorer: %s, and build it again.", INSTALLATION)
        return
    folder = Path(config["site_dir"], "explore")
    folder.mkdir(exist_ok=True)
    for name in MODELS:
        model = ["explore", str(ROOT / "saved_models" / name), "--dataset", "sample"]
        out = ["--out", str(folder / f"{name}.html"), "--runtime", str(runtime), "--overwrite"]
        done = subprocess.run(
            [sys.executable, "-m", "keras_vae", *model, *out], capture_output=True, text=True, check=False
        )
        if done.returncode:
            log.warning("The live page of %s cannot be made: %s", name, done.stderr.strip().rpartition("\n")[2])


def _runtime() -> Path | None:
    return installed_runtime() if is_build else None


def _links() -> str:
    if _runtime() is None:
        return "This build of the site has no live pages, since LiteRT.js was not installed where it was built."
    # Written as HTML: MkDocs would look for the pages among the documents.
    links = [f'<a href="../../explore/{name}.html">{name}</a>' for name in MODELS]
    return (
        f"Try it here, with 500 test digits: {' · '.join(links)}. Each page is one file, which you may save and send."
    )
