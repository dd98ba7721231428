"""Check whether memory or time creep up in a long run, by watching many short epochs of the installed command.

Trains a small model on 500 bundled digits with all losses and callbacks, and prints resident memory and time per epoch
near the beginning (after the first tenth, in which caches fill) and at the end.

Run: python benchmarks/creep.py
"""

from __future__ import annotations

import argparse
import csv
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_vae.data import ArraySplit, load_dataset

OPTIONS = ("--latent", "2", "--widths", "8,16", "--groups", "4", "--discriminator-widths", "8,16", "--batch-size", "50")


def write_idx(folder: Path) -> None:
    """Write the first 400 training digits and 100 test digits of the bundled sample as IDX files."""
    dataset = load_dataset("sample")
    for prefix, split, count in (("train", dataset.train, 400), ("t10k", dataset.test, 100)):
        assert isinstance(split, ArraySplit)
        images, labels = split.first(count)
        assert labels is not None
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(_idx(images[..., 0]))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(_idx(labels.astype(np.uint8)))


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


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
    epochs = parser.parse_args().epochs
    command = str(Path(sys.executable).with_name("keras-vae"))
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        write_idx(Path(place))
        arguments = ["train", "--dataset", f"idx:{place}", "--epochs", str(epochs), "--run-dir", str(run), *OPTIONS]
        process = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL)
        memory = watched(process, run / "metrics.csv")
        if process.returncode:
            sys.exit(process.returncode)
        with open(run / "metrics.csv", encoding="utf-8") as file:
            seconds = {int(row["epoch"]): float(row["seconds"]) for row in csv.DictReader(file)}
    tenth = epochs // 10
    spans = {"beginning": range(tenth, 2 * tenth), "end": range(epochs - tenth, epochs)}
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
