"""Record the GIF of the explorer's page that the README shows: dragging, drawing a digit, and a walk.

Needs Chromium, the extra dev, and LiteRT.js, as `keras-vae explore --out` does.

Run: python scripts/record_explorer.py
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

COMMAND = Path(sys.executable).with_name("keras-vae")
ROOT = Path(__file__).resolve().parents[1]
PAGE_WIDTH = 1040
# The width of the GIF, and hundredths of a second between its frames.
WIDTH, DELAY = 520, 8
COLOURS = 160
# Strokes of digits, as shares of the canvas.
TWO = [(0.3, 0.32), (0.38, 0.22), (0.55, 0.2), (0.66, 0.32), (0.6, 0.48), (0.45, 0.64), (0.3, 0.78), (0.7, 0.78)]
SEVEN = [(0.28, 0.24), (0.7, 0.24), (0.6, 0.42), (0.52, 0.6), (0.46, 0.8)]


class Recorder:
    """Takes a frame after each step of what a person does."""

    def __init__(self, page: Any) -> None:
        self.page, self.frames = page, list[Image.Image]()

    def frame(self, count: int = 1) -> None:
        """Let the page come to rest and take its picture, ``count`` times."""
        self.page.wait_for_selector("#decoded[aria-busy=false]")
        self.page.wait_for_timeout(40)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        picture = picture.resize((WIDTH, WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS)
        self.frames += [picture] * count

    def drag(self, name: str, places: Iterable[tuple[float, float]]) -> None:
        """Drag over an element, through places that are shares of its width and height."""
        box = self.page.locator(f"#{name}").bounding_box()
        for turn, (x, y) in enumerate(places):
            self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if turn == 0:
                self.page.mouse.down()
            self.frame()
        self.page.mouse.up()
        self.page.mouse.move(1, 1)


def between(corners: list[tuple[float, float]], steps: int) -> list[tuple[float, float]]:
    """``steps`` places on each line from one corner to the next."""
    return [
        (x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps)
        for (x0, y0), (x1, y1) in itertools.pairwise(corners)
        for step in range(steps)
    ]


def record(page: Any, steps: int) -> list[Image.Image]:
    """Do everything once; ``steps`` sets how smoothly."""
    recorder = Recorder(page)
    turns = [2 * math.pi * turn / (12 * steps) for turn in range(12 * steps + 1)]
    recorder.drag("plane", [(0.5 + 0.3 * math.sin(turn), 0.47 - 0.33 * math.cos(turn)) for turn in turns])
    for digit in (TWO, SEVEN):
        page.click("#clear")
        recorder.drag("drawing", between(digit, steps))
        recorder.frame(8)
    page.locator("#walk-add").click()
    legs = float(page.locator("#walk-position").get_attribute("max"))
    for step in range(8 * steps + 1):
        page.locator("#walk-position").fill(f"{legs * step / (8 * steps):.2f}")
        recorder.frame()
    return recorder.frames


def main() -> None:
    """Make the page, record it, and write the GIF."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="mnist-latent2")
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--runtime", type=Path, help="as that of keras-vae explore")
    parser.add_argument("--steps", type=int, default=3, help="frames of each part of a movement")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "assets" / "explorer.gif")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        html = Path(folder, "explorer.html")
        options = ["--dataset", arguments.dataset, "--out", html]
        options += ["--runtime", arguments.runtime] if arguments.runtime else []
        subprocess.run([COMMAND, "explore", arguments.run, *options], check=True)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": PAGE_WIDTH, "height": 900}, color_scheme="dark")
        page.goto(html.as_uri())
        page.wait_for_selector("body[data-ready]")
        # All of the page, since a mouse would scroll it.
        height = page.evaluate("() => document.documentElement.scrollHeight")
        page.set_viewport_size({"width": PAGE_WIDTH, "height": height})
        page.wait_for_timeout(1500)  # the manifold is drawn meanwhile
        frames = record(page, arguments.steps)
        browser.close()
    # One palette for all frames, so that what stands still stays the same.
    palette = frames[len(frames) // 2].quantize(COLOURS, Image.Quantize.FASTOCTREE)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(arguments.out, save_all=True, append_images=frames[1:], duration=10 * DELAY, loop=0, optimize=True)
    print(f"wrote {arguments.out} ({len(frames)} frames, {arguments.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
