"""The cost of exchanging gradients between workers: two processes on loopback, and a calculation for other machines.

Each process has its own core. In turns, and after waiting for each other, the two run the same step alone (each on its
half of the batch, without exchange), together, and the exchange of arrays with the gradients' shapes alone. The
predicted time of a step is the time alone plus the exchange; in a ring of R workers each sends and receives
2·(R - 1)/R of the gradients' bytes.

Run: python benchmarks/scaling.py, or with --paper for the calculation, which measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import small
import tensorflow as tf
from machine import heading

from keras_vae.config import RunConfig, preset
from keras_vae.training.build import build_trainer
from keras_vae.training.cluster import find_cluster
from keras_vae.training.distribution import Distribution, build_distribution, sum_over_replicas
from keras_vae.training.flops import flops_of

WORKERS = 2
PRESETS = {"mnist": 128, "mnist-latent16": 128, "cifar10": 64}
# For the calculation: the rate that a GPU reaches in such small convolutions is a guess, and its price one of many.
GPU_FLOPS, GPU_DOLLARS_AN_HOUR, GPU_BATCH = 2e13, 3.0, 128
NETWORKS = {"NVLink, 300 GB/s": 300e9, "100 Gbit/s": 12.5e9, "25 Gbit/s": 3.1e9, "10 Gbit/s": 1.25e9}

Call = Callable[[], Any]


def ring_seconds(size: float, workers: int, bandwidth: float) -> float:
    """Seconds of an all-reduce of ``size`` bytes at ``bandwidth`` bytes per second each way, without latency."""
    return 2 * (workers - 1) / workers * size / bandwidth


def step_call(trainer: Any, images: Any, distribution: Distribution) -> Call:
    """The compiled step as ``fit`` calls it, with input that costs nothing."""
    trainer.make_train_function()
    batches = iter(distribution.batches(tf.data.Dataset.from_tensors(tf.constant(images)).repeat()))
    return lambda: np.array(trainer.train_function(batches)["loss"])


def exchange_call(variables: list[Any], distribution: Distribution) -> Call:
    """An all-reduce of arrays with the variables' shapes."""
    arrays = [tf.zeros(variable.shape) for variable in variables]

    @tf.function
    def exchange() -> Any:
        return distribution.strategy.run(lambda: sum_over_replicas(arrays)[0])

    return lambda: np.array(exchange())


def config_of(name: str, smoke: bool) -> RunConfig:
    """The preset; with ``smoke`` its batch and its model are small, and there is no perceptual loss to trace."""
    config = preset(name)
    if smoke:
        return small.small(config).replace(data__batch_size=2 * WORKERS, objective__perceptual_weight=0.0)
    return config.replace(data__batch_size=PRESETS.get(name, config.data.batch_size))


def work(config: RunConfig, rounds: int) -> dict[str, float]:
    """Measure as one worker: seconds of a step alone, of a step together and of the exchange, and its bytes."""
    distribution = build_distribution("multi-worker", find_cluster())
    own = config.data.batch_size // WORKERS
    images = np.random.default_rng(0).random((own, *config.model.image_shape), dtype=np.float32)
    apart = build_trainer(config, steps_per_epoch=1000)
    with distribution.strategy.scope():
        together = build_trainer(config, steps_per_epoch=1000)
    variables = [*together.vae.trainable_variables, *together.step_losses.discriminator_variables]
    calls = {
        "apart": step_call(apart, images, Distribution()),
        "together": step_call(together, images, distribution),
        "exchange": exchange_call(variables, distribution),
    }
    times: dict[str, list[float]] = {key: [] for key in calls}
    for round_number in range(-2, rounds):  # two rounds trace and warm up
        for key, call in calls.items():
            distribution.from_chief(0)
            begin = time.perf_counter()
            call()
            if key == "apart":
                distribution.from_chief(0)  # includes waiting for the slower worker, as a step together does
            if round_number >= 0:
                times[key].append(time.perf_counter() - begin)
    found = {key: statistics.median(values) for key, values in times.items()}
    return {**found, "bytes": float(sum(4 * int(np.prod(variable.shape)) for variable in variables))}


def measured(name: str, rounds: int, smoke: bool) -> dict[str, float]:
    """Start the workers, each on its own core; returns the first worker's measurements."""
    ports = []
    for _ in range(WORKERS):
        with socket.socket() as found:
            found.bind(("localhost", 0))
            ports.append(found.getsockname()[1])
    cores = sorted(os.sched_getaffinity(0))[:WORKERS]
    processes = []
    for index in range(WORKERS):
        cluster = {"worker": [f"localhost:{port}" for port in ports]}
        environment = {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
            "TF_NUM_INTRAOP_THREADS": "1",
        }
        command = [sys.executable, __file__, "--work", name, "--rounds", str(rounds), "--core", str(cores[index])]
        if smoke:
            command.append("--smoke")
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"a worker failed: {outputs}")
    result: dict[str, float] = json.loads(outputs[0].splitlines()[-1])
    return result


def print_measured(names: Sequence[str], rounds: int, smoke: bool) -> None:
    """Print the Markdown table for loopback."""
    print(
        "| preset, batch | exchanged, MB | exchange alone, ms | MB/s | step alone, ms | measured together, ms | "
        "predicted, ms | efficiency | share of the exchange |"
    )
    print("| --- |" + " --- |" * 8)
    for name in names:
        found = measured(name, rounds, smoke)
        batch = config_of(name, smoke).data.batch_size
        apart, together, exchange = (1000 * found[key] for key in ("apart", "together", "exchange"))
        rate = ring_seconds(found["bytes"], WORKERS, 1.0) / found["exchange"] / 1e6
        cells = (
            f"{name}, {batch}",
            f"{found['bytes'] / 1e6:.1f}",
            *(f"{value:.0f}" for value in (exchange, rate, apart, together, apart + exchange)),
            *(f"{share:.0%}" for share in (apart / together, exchange / together)),
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def print_paper(names: Sequence[str], replicas: int, smoke: bool) -> None:
    """Print the Markdown table of the calculation for GPUs."""
    print(
        f"{replicas} GPUs at {GPU_FLOPS / 1e12:.0f} TFLOP/s and {GPU_DOLLARS_AN_HOUR:.0f} dollars per hour each, with "
        f"{GPU_BATCH} images each: the exchange's share of a step, and dollars for a million images.\n"
    )
    print("| preset | GFLOP per image | exchanged, MB | " + " | ".join(NETWORKS) + " |")
    print("| --- | --- | --- |" + " --- |" * len(NETWORKS))
    for name in names:
        config = config_of(name, smoke)
        trainer = build_trainer(config, steps_per_epoch=1000)
        # Counted on a whole batch, since the perceptual loss sees only a part of it.
        batch = config.data.batch_size
        flops = flops_of(trainer.train_step, tf.zeros((batch, *config.model.image_shape))) / batch
        variables = [*trainer.vae.trainable_variables, *trainer.step_losses.discriminator_variables]
        size = sum(4 * int(np.prod(variable.shape)) for variable in variables)
        cells = []
        for bandwidth in NETWORKS.values():
            exchange = ring_seconds(size, replicas, bandwidth)
            step = GPU_BATCH * flops / GPU_FLOPS + exchange
            dollars = 1e6 * step / (GPU_BATCH * 3600) * GPU_DOLLARS_AN_HOUR
            cells.append(f"{exchange / step:.0%}, {dollars:.2f}")
        print(f"| {name} | {flops / 1e9:.2f} | {size / 1e6:.1f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure or calculate, and print Markdown tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--paper", action="store_true", help="calculate for other machines instead of measuring")
    parser.add_argument("--replicas", type=int, default=8, help="number of GPUs in the calculation")
    parser.add_argument("--work", choices=PRESETS, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    smoke = arguments.smoke
    names = tuple(PRESETS)[:1] if smoke else tuple(PRESETS)
    if smoke:
        arguments.rounds = 1
    if arguments.work:
        os.sched_setaffinity(0, {arguments.core})
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as the command does
        print(json.dumps(work(config_of(arguments.work, smoke), arguments.rounds)))
        return
    print(f"{heading()}\n")
    if not arguments.paper:
        print_measured(names, arguments.rounds, smoke)
    if arguments.paper or smoke:
        print_paper(names if smoke else (*names, "photos128", "photos256"), arguments.replicas, smoke)


if __name__ == "__main__":
    main()
