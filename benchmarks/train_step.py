"""Images per second of our training step and of a PyTorch peer's, as losses are added, and the share of the peak.

Compares our implementation of the peer's architecture (`keras_twin`) and our default preset with `torch_peer`, as it is
written and as PyTorch recommends for speed (compiled, channels last), all in float32 and in bfloat16. All take turns in
one process with the same number of threads, so that a busy machine slows them alike. The machine's peak is the rate of
a matrix product, measured in the same way.

Needs ``pip install -e ".[bench]"`` and a C++ compiler, with which PyTorch compiles.
Run: python benchmarks/train_step.py --vgg16 vgg16_lpips.npz
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import torch
from keras_twin import IMAGE_SHAPE, largest_difference, twin_trainer
from machine import heading
from small import add_smoke_option
from torch.utils.flop_counter import FlopCounterMode
from torch_peer import TorchPeer, channels_first, parameters_of

from keras_vae.config import preset
from keras_vae.losses.vgg16 import BLOCKS, read_convolutions, read_heads
from keras_vae.training.build import build_trainer
from keras_vae.training.flops import flops_of

PARTS = ("VAE", "+ PatchGAN", "+ VGG16")
PRECISIONS = {"float32": tf.float32, "mixed_bfloat16": tf.bfloat16}
EAGER, COMPILED = "PyTorch peer", "PyTorch peer compiled"
TWIN, DEFAULT = "ours of its architecture", "our default preset"
NAMES = [f"{who}, {precision}" for precision in PRECISIONS for who in (EAGER, COMPILED, TWIN, DEFAULT)]
# Every step once, and both precisions of ours and of the peer. PyTorch compiles the autoencoder's loss alone, since it
# takes a minute for all of them.
SMOKE = {
    PARTS[0]: [f"{COMPILED}, mixed_bfloat16", f"{DEFAULT}, mixed_bfloat16"],
    PARTS[2]: [f"{EAGER}, float32", f"{TWIN}, float32"],
}
BUNDLED_TAPS = 3
# The published numbers, which the peer must match within 1%.
PEER_PARAMETERS = {"autoencoder": 2.49e6, "discriminator": 0.66e6}
# Bound for float32, relative to the largest value: a fast wrong answer is not a result.
TOLERANCE = 1e-4

Array = npt.NDArray[np.float32]
Call = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Player:
    """A training step, with its images and floating-point operations per call."""

    step: Call
    images: int
    flops: int


def write_random_taps(path: Path) -> None:
    """Write the bundled weights, with seeded noise for the blocks that they lack."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for name, (kernel, bias) in read_convolutions("bundled", BUNDLED_TAPS).items():
        arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    for tap, head in enumerate(read_heads("bundled", BUNDLED_TAPS), start=1):
        arrays[f"lpips/block{tap}"] = head
    channels = BLOCKS[BUNDLED_TAPS - 1][1]
    for tap, (names, width) in enumerate(BLOCKS[BUNDLED_TAPS:], start=BUNDLED_TAPS + 1):
        for name in names:
            noise = rng.standard_normal((3, 3, channels, width), np.float32) * np.float32((2 / (9 * channels)) ** 0.5)
            arrays |= {f"{name}/kernel": noise, f"{name}/bias": np.zeros(width, np.float32)}
            channels = width
        arrays[f"lpips/block{tap}"] = np.full(width, 1 / width, np.float32)
    np.savez(path, **arrays)


def peer_of(part: str, vgg16: Path, *, precision: str = "float32", compiled: bool = False) -> TorchPeer:
    """The peer with the losses up to ``part``, after checking its size."""
    peer = TorchPeer(
        adversarial=part != PARTS[0],
        vgg16=vgg16 if part == PARTS[2] else None,
        bfloat16=precision != "float32",
        compiled=compiled,
    )
    for name, expected in PEER_PARAMETERS.items():
        module = getattr(peer, name)
        if module is not None:
            found = parameters_of(module)
            assert abs(found / expected - 1) < 0.01, f"the peer's {name} has {found} parameters, not {expected:.0f}"
    return peer


def twin_of(part: str, precision: str, vgg16: Path) -> Any:
    """Our trainer with the peer's architecture and losses."""
    return twin_trainer(precision, adversarial=part != PARTS[0], vgg16=vgg16 if part == PARTS[2] else None)


def default_of(part: str, precision: str, vgg16: Path) -> Any:
    """Our trainer for the default preset, with the losses up to ``part``."""
    config = preset("mnist").replace(precision=precision)
    if part != PARTS[2]:
        config = config.replace(objective__perceptual_weight=0.0)
    if part == PARTS[0]:
        config = config.replace(objective__adversarial_weight=0.0)
    return build_trainer(config, steps_per_epoch=1000)


def keras_step(trainer: Any, images: Any) -> Call:
    """The compiled step as ``fit`` calls it, with input that costs nothing."""
    trainer.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(tf.constant(images)).repeat())
    return lambda: trainer.train_function(batches)


def matrix_product(side: int, dtype: Any) -> Call:
    """A product of square matrices, the fastest computation on the machine."""
    matrix = tf.cast(tf.random.stateless_uniform((side, side), (0, 0)), dtype)
    multiply = tf.function(lambda: tf.matmul(matrix, matrix))
    return lambda: multiply()


def seconds_of(calls: dict[Any, Call], rounds: int) -> dict[Any, list[float]]:
    """The times of ``rounds`` calls of each, in turns, after two calls that trace and warm up."""
    times: dict[Any, list[float]] = {key: [] for key in calls}
    for call in calls.values():
        call()
        call()
    for _ in range(rounds):
        for key, call in calls.items():
            begin = time.perf_counter()
            call()
            times[key].append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vgg16", type=Path, help="an .npz of VGG16 with all five LPIPS taps")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64, help="batch size of the peer and its twin")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--product", type=int, default=4096, help="side of the matrices whose product is the peak")
    add_smoke_option(parser)
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.batch_size, arguments.product = 2, 4, 64
    tf.get_logger().setLevel("ERROR")  # otherwise it warns that several models were traced
    torch.set_num_threads(arguments.threads)
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
    with tempfile.TemporaryDirectory() as folder:
        vgg16 = arguments.vgg16 or Path(folder) / "vgg16.npz"
        if arguments.vgg16 is None:
            write_random_taps(vgg16)
            print("VGG16: bundled weights up to tap 3, seeded noise beyond; speed does not depend on values.\n")
        measure(arguments, vgg16)


def players_of(part: str, names: list[str], vgg16: Path, images: Array, default_images: Array) -> dict[str, Player]:
    """The steps of ``names`` with the losses up to ``part``; the twin computes what the peer does, which is checked."""
    reference, batch = peer_of(part, vgg16), channels_first(images)
    with FlopCounterMode(display=False) as counter:
        reference.train_step(batch)
    flops = dict.fromkeys((EAGER, COMPILED), counter.get_total_flops())
    players = {}
    for name in names:
        who, _, precision = name.rpartition(", ")
        if who in (EAGER, COMPILED):
            peer = peer_of(part, vgg16, precision=precision, compiled=who == COMPILED)
            players[name] = Player(functools.partial(peer.train_step, batch), len(images), flops[who])
            continue
        own_images = images if who == TWIN else default_images
        trainer = (twin_of if who == TWIN else default_of)(part, precision, vgg16)
        if who not in flops:  # every precision needs as many
            flops[who] = flops_of(trainer.train_step, tf.constant(own_images))
        if name == f"{TWIN}, float32":
            difference = largest_difference(reference, trainer, images)
            assert difference < TOLERANCE, f"{part}: ours differs from the peer by {difference}"
        players[name] = Player(keras_step(trainer, own_images), len(own_images), flops[who])
    return players


def measure(arguments: argparse.Namespace, vgg16: Path) -> None:
    """Build all steps, time them in turns, print tables."""
    rng = np.random.default_rng(0)
    cases = SMOKE if arguments.smoke else dict.fromkeys(PARTS, NAMES)
    names = [name for name in NAMES if any(name in found for found in cases.values())]
    default_batch = arguments.batch_size if arguments.smoke else preset("mnist").data.batch_size
    images = rng.random((arguments.batch_size, *IMAGE_SHAPE), dtype=np.float32)
    default_images = rng.random((default_batch, *IMAGE_SHAPE), dtype=np.float32)
    players = {
        (part, name): player
        for part, found in cases.items()
        for name, player in players_of(part, found, vgg16, images, default_images).items()
    }
    products = {precision: matrix_product(arguments.product, dtype) for precision, dtype in PRECISIONS.items()}
    calls: dict[Any, Call] = {key: player.step for key, player in players.items()}
    times = seconds_of({**calls, **products}, arguments.rounds)
    rates = {key: [player.images / second for second in times[key]] for key, player in players.items()}
    peaks = {precision: 2 * arguments.product**3 / statistics.median(times[precision]) for precision in PRECISIONS}

    def best_peer(part: str, precision: str) -> float:
        peers = (f"{who}, {precision}" for who in (EAGER, COMPILED))
        return max(statistics.median(rates[part, name]) for name in peers if (part, name) in rates)

    def rate_cell(part: str, name: str) -> str:
        lower, median, upper = statistics.quantiles(rates[part, name], n=4)
        ratio = median / best_peer(part, name.rpartition(", ")[2])
        return f"{median:.0f} ({lower:.0f} to {upper:.0f}), {ratio:.2f}×"

    def share_cell(part: str, name: str) -> str:
        flops = players[part, name].flops / players[part, name].images
        peak = peaks[name.rpartition(", ")[2]]
        return f"{flops / 1e9:.3f}, {flops * statistics.median(rates[part, name]) / peak:.0%}"

    print(f"{heading(arguments.threads)}\n")
    print("Images per second: median (quartiles), and the ratio to the faster peer of the same precision.\n")
    print_table(cases, names, rate_cell)
    found = ", ".join(f"{peak / 1e9:.0f} GFLOP/s in {precision}" for precision, peak in peaks.items())
    print(f"\nGFLOP per image in convolutions and matrix products, and the share of the peak ({found}):\n")
    print_table(cases, names, share_cell)
    # Idle threads of one library may spin and slow down the other.
    ratios = []
    for key in ((PARTS[-1], f"{who}, float32") for who in (EAGER, TWIN)):
        alone = seconds_of({key: players[key].step}, arguments.rounds)[key]
        ratios.append(f"{key[1]}, {statistics.median(times[key]) / statistics.median(alone):.2f}")
    print(f"\nSpeed of the full step alone, relative to its speed in turns: {'; '.join(ratios)}.")


def print_table(cases: dict[str, list[str]], names: list[str], cell: Callable[[str, str], str]) -> None:
    """Print one row per player and one column per part; a cell is empty where that step was not measured."""
    print("| step | " + " | ".join(cases) + " |")
    print("| --- |" + " --- |" * len(cases))
    for name in names:
        cells = (cell(part, name) if name in measured else "" for part, measured in cases.items())
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
