"""The autoencoder of Stable Diffusion beside diffusers on PyTorch: times, and the peak memory of what it is used for.

Times are of one image encoded and decoded, by models with the same random weights, which take turns in one process.
Before that their outputs are compared. Memory is the largest resident memory of a process of its own for each row.

Needs ``pip install -e ".[bench]"`` and a C++ compiler, with which PyTorch compiles.
Run: python benchmarks/latent_diffusion.py, or with --part times or --part memory
"""

from __future__ import annotations

import argparse
import copy
import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import small
import tensorflow as tf
from machine import heading

from keras_vae.models import AutoencoderKL
from keras_vae.models.copies import copy_of, shapes_for

# Those of Stable Diffusion 1 are the defaults.
SMALL = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
PEERS = ("diffusers, eager", "diffusers, compiled, channels last")
# Of float32 outputs in [0, 1], as in the tests of the small models.
TOLERANCE = 1e-3

Call = Callable[[], Any]


def build(side: int, *, is_small: bool) -> AutoencoderKL:
    """A model with random weights for square images."""
    keras.utils.set_random_seed(0)
    return AutoencoderKL((side, side, 3), dtype="float32", **(SMALL if is_small else {}))


def image_of(side: int) -> npt.NDArray[np.float32]:
    """A smooth image, float32 (1, side, side, 3)."""
    ramp = np.linspace(0, 1, side, dtype="float32")
    return np.stack([ramp[:, None] * ramp, ramp[:, None] + 0 * ramp, 0 * ramp[:, None] + ramp], -1)[None]


def torch_calls(vae: AutoencoderKL, image: npt.NDArray[np.float32], *, is_small: bool) -> Iterator[tuple[str, Call]]:
    """Diffusers' model of the same weights, as it is and as PyTorch recommends for speed."""
    import diffusers
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        vae.save_diffusers(Path(folder) / "vae")
        peer = diffusers.AutoencoderKL.from_pretrained(Path(folder) / "vae").eval()
    tensor = torch.from_numpy(2 * np.moveaxis(image, -1, 1).copy() - 1)

    def reconstruct(model: Any, pixels: Any) -> Any:
        return model.decode(model.encode(pixels).latent_dist.mean).sample

    with torch.inference_mode():
        found = np.moveaxis(reconstruct(peer, tensor).numpy(), 1, -1) / 2 + 0.5
    difference = float(np.abs(np.clip(found, 0, 1) - vae.reconstruct(image)).max())
    assert difference < TOLERANCE, f"the outputs differ by {difference}"

    def eager() -> Any:
        with torch.inference_mode():
            return reconstruct(peer, tensor)

    yield PEERS[0], eager
    if is_small:  # compiling takes half a minute at any size
        return
    channels_last = tensor.to(memory_format=torch.channels_last)
    fast = torch.compile(functools.partial(reconstruct, copy.deepcopy(peer).to(memory_format=torch.channels_last)))

    def compiled() -> Any:
        with torch.inference_mode():
            return fast(channels_last)

    yield PEERS[1], compiled


def keras_calls(vae: AutoencoderKL, image: npt.NDArray[np.float32]) -> Iterator[tuple[str, Call]]:
    """Ours, eagerly, as one TensorFlow function, and compiled by XLA."""
    tensor = tf.constant(image)
    yield "ours, eager", lambda: vae.reconstruct(tensor)
    for name, is_compiled in (("ours, tf.function", False), ("ours, XLA", True)):
        function = tf.function(vae.reconstruct, jit_compile=is_compiled, autograph=False)
        yield name, functools.partial(function, tensor)


def print_times(sides: list[int], rounds: int, *, is_small: bool) -> None:
    """A row for each runtime, a column for each size: median (quartiles), and the faster peer's median over it."""
    columns = {}
    for side in sides:
        vae, image = build(side, is_small=is_small), image_of(side)
        calls = dict([*keras_calls(vae, image), *torch_calls(vae, image, is_small=is_small)])
        times: dict[str, list[float]] = {name: [] for name in calls}
        for call in calls.values():
            call()
        for _ in range(rounds):
            for name, call in calls.items():
                begin = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - begin)
        columns[f"{side}×{side}"] = times
    print("| runtime | " + " | ".join(f"{column}, seconds" for column in columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for name in next(iter(columns.values())):
        cells = []
        for times in columns.values():
            lower, median, upper = statistics.quantiles(times[name], n=4)
            eager = statistics.median(times[PEERS[0]]) / median
            cells.append(f"{median:.2f} ({lower:.2f} to {upper:.2f}), {eager:.2f}×")
        print(f"| {name} | " + " | ".join(cells) + " |")


def export(vae: AutoencoderKL, kind: str) -> None:
    """Write one kind of file, as `keras-vae export` does."""
    from keras_vae.export.onnx import write_onnx
    from keras_vae.export.signatures import write_saved_model
    from keras_vae.export.tflite import write_tflite

    with tempfile.TemporaryDirectory() as name:
        if kind == "SavedModel":
            write_saved_model(vae, Path(name) / "saved_model")
        elif kind == "LiteRT":
            write_tflite(vae, Path(name), np.repeat(image_of(vae.image_shape[0]), 2, axis=0))
        else:
            write_onnx(vae, Path(name))


def cases(*, is_small: bool) -> dict[str, Call]:
    """Name of a row → what its process does."""
    unit = 16 if is_small else 512

    def whole(side: int) -> Call:
        def reconstruct() -> None:
            # As one function: it frees a map when no layer needs it any more.
            tf.function(build(unit, is_small=is_small).reconstruct, autograph=False)(image_of(side))

        return reconstruct

    def tiled(side: int) -> Call:
        overlap = unit // 8
        return lambda: build(unit, is_small=is_small).reconstruct(image_of(side), tile=unit, overlap=overlap)

    def exported(kind: str) -> Call:
        def write() -> None:
            vae = build(unit, is_small=is_small)
            export(copy_of(vae, **shapes_for(vae, unit // 2, unit // 2)), kind)

        return write

    rows: dict[str, Call] = {f"{side}×{side}, whole": whole(side) for side in (unit, 2 * unit)}
    rows |= {f"{side}×{side}, tiles of {unit}": tiled(side) for side in (2 * unit, 4 * unit, 8 * unit)}
    return rows | {f"{kind} for {unit // 2}×{unit // 2}": exported(kind) for kind in ("SavedModel", "LiteRT", "ONNX")}


def print_memory(rows: list[str], *, is_small: bool) -> None:
    """Start a process for each row and print a Markdown table."""
    print("| what | peak memory, GB |\n| --- | --- |")
    for row in rows:
        command = [sys.executable, __file__, "--row", row, *(["--smoke"] if is_small else [])]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(f"| {row} | {int(output.split()[-1]) / 1e9:.2f} |", flush=True)


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("times", "memory"), help="by default both")
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--row", help="do what this row of the second table says, in this process")
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    is_small = arguments.smoke
    if arguments.row is not None:
        cases(is_small=is_small)[arguments.row]()
        print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # Linux counts in KiB
        return
    print(f"{heading()}\n")
    if arguments.part != "memory":
        sides, rounds = ([16], 2) if is_small else (arguments.sides, arguments.rounds)  # quartiles need two
        print_times(sides, rounds, is_small=is_small)
        print()
    if arguments.part != "times":
        rows = list(cases(is_small=is_small))
        # The exports take longest to start.
        print_memory(rows[:3] if is_small else rows, is_small=is_small)


if __name__ == "__main__":
    main()
