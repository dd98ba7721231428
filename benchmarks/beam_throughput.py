"""Images per second and peak memory of `keras-vae encode`: plain loop, batch job in one process, batch job in two.

The images are the bundled digits, shifted by up to two pixels, in TFRecord files of 2,500. Every measurement is a whole
command, and the ways take turns. The peak memory is that of a command's largest process.

Needs ``pip install -e ".[beam]"``. Run: python benchmarks/beam_throughput.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import small
from machine import heading

from keras_vae.data import ArraySplit, ImageDataset, load_dataset, write_tfrecords

COMMAND = Path(sys.executable).with_name("keras-vae")
MODEL = Path(__file__).resolve().parents[1] / "saved_models" / "mnist-latent2"
PLAIN = "plain loop"
TWO_PROCESSES = ("--direct_num_workers", "2", "--direct_running_mode", "multi_processing")
WAYS: dict[str, tuple[str, ...] | None] = {PLAIN: None, "Beam, 1 process": (), "Beam, 2 processes": TWO_PROCESSES}


def write_images(folder: Path, count: int) -> None:
    """Write a data set whose test split has ``count`` images."""
    digits = load_dataset("sample").train.first(4500)[0]
    random = np.random.default_rng(0)
    images = digits[random.integers(0, len(digits), count)]
    for shift in range(-2, 3):
        rows = random.random(count) < 0.2
        images[rows] = np.roll(images[rows], shift, axis=2)
    test = ArraySplit(images)
    write_tfrecords(ImageDataset("digits", "sample", ArraySplit(images[:1]), test), folder, shard_size=2500)


def measure(way: tuple[str, ...] | None, model: Path, data: Path, place: Path) -> tuple[float, int]:
    """Seconds and peak bytes of one command."""
    out = place / ("latents.npz" if way is None else "latents")
    command = [str(COMMAND), "encode", str(model), f"tfrecord:{data}", "--out", str(out), "--overwrite"]
    if way is not None:
        command += ["--beam", "--", *way]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    # Includes the processes that it waited for.
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - begin, 1024 * usage.ru_maxrss  # Linux counts in KiB


def main() -> None:
    """Run all ways and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 50_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, default=MODEL)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.images, arguments.rounds = [200], 1
    print(f"{heading()}\n")
    print("| images | way | images/s | ratio to the plain loop | peak memory, MB |")
    print("| --- | --- | --- | --- | --- |")
    for count in arguments.images:
        with tempfile.TemporaryDirectory() as place:
            data = Path(place, "digits")
            write_images(data, count)
            found: dict[str, list[tuple[float, int]]] = {name: [] for name in WAYS}
            for _ in range(arguments.rounds):
                for name, way in WAYS.items():
                    found[name].append(measure(way, arguments.model, data, Path(place)))
        plain = [seconds for seconds, _ in found[PLAIN]]
        for name, runs in found.items():
            ratio = statistics.median(base / seconds for base, (seconds, _) in zip(plain, runs, strict=True))
            speed = count / statistics.median(seconds for seconds, _ in runs)
            peak = max(peak for _, peak in runs) / 1e6
            print(f"| {count:,} | {name} | {speed:,.0f} | {ratio:.2f} | {peak:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
