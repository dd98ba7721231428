"""How fast the explorer's page is in Chromium: its size, its start, its frames, and the time from a move to its image.

Each page is opened as a file without a network, and then served. A move is an event of the pointer on the plane. There
are 60 moves a second, of which those with an image of their own are counted. Frames are what the browser needs for one
while it is not held back to the screen's 60 a second. The last column is of single moves, with nothing else to do.

Needs Chromium, the extra dev, and LiteRT.js, as `keras-vae explore --out` does.

Run: python benchmarks/explore.py mnist-latent2 mnist-latent16
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import heading
from small import add_smoke_option

COMMAND = Path(sys.executable).with_name("keras-vae")
# Exported, so that nothing is converted.
SMALLEST = Path(__file__).resolve().parents[1] / "saved_models" / "mnist-latent2"
# Without this a frame takes the 16.7 ms of the screen at least.
UNBOUND = ("--disable-frame-rate-limit", "--disable-gpu-vsync")
# Milliseconds between frames, and from a single move to its image; and the share of moves that got an image.
MEASURE = """async ([count, singles]) => {
  const plane = document.getElementById("plane");
  const box = plane.getBoundingClientRect();
  plane.setPointerCapture = () => {}; // made-up pointers cannot be captured
  const decoded = document.getElementById("decoded").getContext("2d");
  const put = decoded.putImageData.bind(decoded);
  let shown = 0;
  let tell = () => {};
  decoded.putImageData = (...values) => { put(...values); shown += 1; tell(); };
  const send = (type, turn) => plane.dispatchEvent(new PointerEvent(type, {
    clientX: box.left + box.width * (0.5 + 0.4 * Math.sin(turn / 40)),
    clientY: box.top + box.height * (0.5 + 0.4 * Math.cos(turn / 29)),
    pointerId: 1, button: 0, bubbles: true, pointerType: "mouse",
  }));
  const frame = () => new Promise(requestAnimationFrame);
  send("pointerdown", 0);
  await frame();
  const between = [];
  shown = 0;
  let last = performance.now();
  const start = last;
  for (let turn = 0; turn < count; ) {
    await frame();
    const now = performance.now();
    between.push(now - last);
    last = now;
    if (now - start >= (turn * 1000) / 60) send("pointermove", turn++);
  }
  const kept = shown / count;
  const moves = [];
  for (let turn = 0; turn < singles; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const start = performance.now();
    const done = new Promise((resolve) => (tell = resolve));
    send("pointermove", turn + 0.5);
    await done;
    moves.push(performance.now() - start);
  }
  send("pointerup", 0);
  return { between, kept, moves };
}"""


def measured(browser: Any, address: str, count: int, singles: int) -> list[str]:
    """The columns of a page: seconds to its start, frames, images and moves."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    begin = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=120_000)
    ready = time.perf_counter() - begin
    page.wait_for_timeout(2000)  # the manifold is drawn meanwhile
    found = page.evaluate(MEASURE, [count, singles])
    page.close()
    late = statistics.quantiles(found["between"], n=20)[-1]
    return [
        f"{ready:.1f}",
        f"{statistics.median(found['between']):.1f}",
        f"{late:.1f}",
        f"{found['kept']:.0%}",
        f"{statistics.median(found['moves']):.1f}",
    ]


@contextmanager
def served(run: str, dataset: str) -> Iterator[str]:
    """The address at which the command serves the page."""
    arguments = [str(COMMAND), "explore", run, "--dataset", dataset, "--no-browser"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        try:
            yield next(word for word in running.stdout.readline().split() if word.startswith("http"))
        finally:
            running.terminate()


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", default=["mnist-latent2", "mnist-latent16"])
    parser.add_argument("--dataset", default="sample")
    parser.add_argument("--runtime", type=Path, help="as that of keras-vae explore")
    parser.add_argument("--moves", type=int, default=600, help="moves, 60 a second")
    parser.add_argument("--singles", type=int, default=100, help="single moves")
    add_smoke_option(parser)
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    counts = (30, 5) if arguments.smoke else (arguments.moves, arguments.singles)
    print(f"{heading()}\n")
    print("| page | | MB | start, s | frame, ms: median | 95% | moves with an image | move to image, ms |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *UNBOUND])
        for run in [str(SMALLEST)] if arguments.smoke else arguments.runs:
            out = folder / f"{Path(run).stem}.html"
            options = ["--dataset", arguments.dataset, "--out", out]
            options += ["--runtime", arguments.runtime] if arguments.runtime else []
            subprocess.run([COMMAND, "explore", run, *options], check=True, capture_output=True)
            columns = measured(browser, out.as_uri(), *counts)
            print(" | ".join([f"| {Path(run).stem}", "file", f"{out.stat().st_size / 1e6:.1f}", *columns, ""]).strip())
            with served(run, arguments.dataset) as address:
                columns = measured(browser, address, *counts)
            print(" | ".join([f"| {Path(run).stem}", "served", "", *columns, ""]).strip())
        browser.close()


if __name__ == "__main__":
    main()
