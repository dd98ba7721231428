"""Measure how well and how fast sharded TFRecords are shuffled while they are streamed.

Every image's label is its number in the files, so the labels of an epoch are its order. NumPy's permutation serves as
the full shuffle for comparison. The speed is that of an epoch of batches, in turns with the same images in memory.

Run: python benchmarks/input_pipeline.py
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import small
from machine import heading

from keras_vae.data import (
    ArraySplit,
    ImageDataset,
    Split,
    StreamSplit,
    load_dataset,
    load_tfrecords,
    steps_per_epoch,
    training_batches,
    write_tfrecords,
)

BATCH = 128
# Share of all images that the shuffle buffer holds.
BUFFERS = (1.0, 0.1, 0.01)

Order = npt.NDArray[np.int64]


def write_numbered(folder: Path, count: int, shards: int) -> ArraySplit:
    """Write the bundled digits, repeated and numbered; returns them as a split in memory."""
    digits = load_dataset("sample").train.first(4500)[0]
    split = ArraySplit(digits[np.arange(count) % len(digits)], np.arange(count, dtype=np.int32))
    test = ArraySplit(split.images[:1], np.zeros(1, np.int32))
    write_tfrecords(ImageDataset("numbered", "sample", split, test), folder, shard_size=-(-count // shards))
    return split


def one_epoch(split: Split) -> tuple[float, Order]:
    """The seconds of an epoch, and the numbers of its images in order."""
    batches = training_batches(split, BATCH, seed=0).take(steps_per_epoch(split, BATCH))
    begin = time.perf_counter()
    numbers = [labels for _, labels in batches.as_numpy_iterator()]
    return time.perf_counter() - begin, np.concatenate(numbers).astype(np.int64)


def rank_correlation(order: Order) -> float:
    """Spearman's rank correlation of positions in the epoch and in the files: 1 unshuffled, 0 shuffled."""
    return float(np.corrcoef(np.arange(len(order)), np.argsort(np.argsort(order)))[0, 1])


def largest_share(order: Order, count: int, shards: int) -> float:
    """Share of a batch's images that come from its most frequent file; the mean over batches."""
    files = (order * shards // count).reshape(-1, BATCH)
    return float(np.mean([np.bincount(batch).max() / BATCH for batch in files]))


def describe(order: Order, count: int, shards: int) -> str:
    """Both measures as cells of the table."""
    return f"{rank_correlation(order):+.3f} | {largest_share(order, count, shards):.3f}"


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[6, 60])
    parser.add_argument("--rounds", type=int, default=3)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.images, arguments.shards, arguments.rounds = 600, [3], 1
    count = arguments.images
    columns = (
        "files",
        "buffer",
        "rank correlation",
        "largest share of a file in a batch",
        "images/s",
        "ratio to memory",
    )
    print(f"{heading()}\n")
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for shards in arguments.shards:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "numbered")
            in_memory = write_numbered(folder, count, shards)
            # Whole batches only, as in training.
            full = np.random.default_rng(0).permutation(count)[: count // BATCH * BATCH]
            print(f"| {shards} | a full shuffle | {describe(full, count, shards)} | | |")
            streamed = load_tfrecords([folder / "train" / "*"], [folder / "test" / "*"], memory_limit=0).train
            assert isinstance(streamed, StreamSplit)
            for buffer in BUFFERS:
                split = dataclasses.replace(streamed, shuffle_buffer=max(1, int(buffer * count)))
                times = [(one_epoch(in_memory)[0], *one_epoch(split)) for _ in range(arguments.rounds)]
                order = times[-1][2]
                ratio = statistics.median(memory / stream for memory, stream, _ in times)
                speed = len(order) / statistics.median(stream for _, stream, _ in times)
                cells = f"{describe(order, count, shards)} | {speed:,.0f} | {ratio:.2f}"
                print(f"| {shards} | {buffer:.0%} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
