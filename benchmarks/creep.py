"""Check whether memory or time creep up in a long run, by watching many short epochs of the installed command.

Trains a small model on 500 bundled digits with all losses and callbacks, and prints resident memory and time per epoch
near the beginning (after the first tenth, in which caches fill) and at the end.

Run: python benchmarks/creep.py
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import small
from machine import heading

OPTIONS = ("--latent", "2", "--widths", "8,16", "--groups", "4", "--discriminator-widths", "8,16", "--batch-size", "50")


def watched(process: subprocess.Popen[bytes], metrics: Path) -> dict[int, list[int]]:
    """Sample the resident bytes during training: number of finished epochs → samples."""
    found: dict[int, list[int]] = {}
    status = Path(f"/proc/{process.pid}/statm")
    while process.poll() is None:
        try:
            epochs = len(metrics.read_text(encoding="utf-8").splitlines()) - 1 if metrics.exists() else 0
            pages = int(status.read_text(encoding="utf-8").split()[1])
        except OSError:  # the process has just ended
            continue
        found.setdefault(epochs, []).append(pages * 4096)
        time.sleep(0.1)
    return found


def main() -> None:
    """Train, watch and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    epochs, options = (4, small.RUN) if arguments.smoke else (arguments.epochs, OPTIONS)
    command = str(Path(sys.executable).with_name("keras-vae"))
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        dataset = small.write_idx(Path(place))
        train = ["train", "--dataset", dataset, "--epochs", str(epochs), "--run-dir", str(run), *options]
        process = subprocess.Popen([command, *train], stdout=subprocess.DEVNULL)
        memory = watched(process, run / "metrics.csv")
        if process.returncode:
            sys.exit(process.returncode)
        with open(run / "metrics.csv", encoding="utf-8") as file:
            seconds = {int(row["epoch"]): float(row["seconds"]) for row in csv.DictReader(file)}
    tenth = max(2, epochs // 10)  # quartiles need two epochs
    spans = {"beginning": range(tenth, 2 * tenth), "end": range(epochs - tenth, epochs)}
    print(f"{heading()}\n")
    print("| epochs | resident memory, MB | seconds per epoch (quartiles) |\n| --- | --- | --- |")
    resident = {}
    for name, span in spans.items():
        resident[name] = statistics.median(max(memory[epoch]) for epoch in span if epoch in memory)
        low, middle, high = statistics.quantiles([seconds[epoch + 1] for epoch in span], n=4)
        print(
            f"| {span.start + 1} to {span.stop} | {resident[name] / 1e6:.0f} | {middle:.2f} ({low:.2f} to {high:.2f}) |"
        )
    print(f"\nresident memory at the end: {100 * (resident['end'] / resident['beginning'] - 1):+.1f}%")


if __name__ == "__main__":
    main()
