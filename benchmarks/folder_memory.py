"""Peak memory and speed of reading a folder of image files from disk batch by batch, by number of files.

The files are generated 64×64 colour JPEGs. Each measurement has its own process, which first checks every file and then
reads one epoch of batches, with or without a cache of pixels. The table gives the process's largest resident memory,
and the memory that the pixels alone would take.

Run: python benchmarks/folder_memory.py
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import small
from machine import heading
from PIL import Image

from keras_vae.config import DataConfig
from keras_vae.data import load_dataset, steps_per_epoch, training_batches

COUNTS = (2_000, 20_000, 200_000)
SIDE, BATCH = 64, 128


def write_images(folder: Path, count: int) -> None:
    """Write ``count`` JPEGs, a thousand per folder."""

    def write_thousand(start: int) -> None:
        random = np.random.default_rng(start)
        place = folder / f"{start // 1000:04}"
        place.mkdir(parents=True)
        for index in range(start, min(start + 1000, count)):
            coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place / f"{index:06}.jpg")

    with ThreadPoolExecutor() as pool:
        list(pool.map(write_thousand, range(0, count, 1000)))


def read(folder: Path, cache: Path | None) -> None:
    """Check every file, read one epoch, and print seconds and peak bytes after each."""
    config = DataConfig(
        dataset=f"folder:{folder}",
        image_size=(SIDE, SIDE),
        channels=3,
        memory_limit=0,
        cache_dir=None if cache is None else str(cache),
    )
    begin = time.perf_counter()
    dataset = load_dataset(config)
    checked, checked_peak = time.perf_counter() - begin, _peak()
    begin = time.perf_counter()
    for _ in training_batches(dataset.train, BATCH, seed=0).take(steps_per_epoch(dataset.train, BATCH)):
        pass
    print(checked, checked_peak, time.perf_counter() - begin, _peak())


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB


def main() -> None:
    """Start the processes and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        read(arguments.folder, arguments.cache)
        return
    if arguments.smoke:
        arguments.counts = [200]
    print(f"{heading()}\n")
    print("| images | cache | check, images/s | epoch, images/s | peak memory, MB | pixels alone, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "images")
            write_images(folder, count)
            for options in ((), ("--cache", str(Path(place, "cache")))):
                command = [sys.executable, __file__, "--folder", str(folder), *options]
                output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                checked, _, epoch, peak = map(float, output.split()[-4:])
                print(
                    f"| {count:,} | {'yes' if options else 'no'} | {count / checked:,.0f} | {0.9 * count / epoch:,.0f} "
                    f"| {peak / 1e6:,.0f} | {count * SIDE * SIDE * 3 / 1e6:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
