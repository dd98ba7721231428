"""The likelihood of binarised MNIST after the same minutes of training: objectives and priors, and pythae beside them.

Each row's speed is measured first, and tells how many epochs fit the minutes. A row of ours is a run of `keras-vae
train`. The peers are pythae 0.1.2's models with its networks for MNIST, trained by Adam under a cosine schedule in a
plain loop, which draws the pixels of a batch anew each time, as ours does. ``-log p(x)`` is importance sampled with the
posterior as the proposal, on the same drawn test images.

Needs ``pip install -e ".[bench]"``.
Run: python benchmarks/likelihood.py, or with --rows VAE IWAE. Finished rows are kept in --run-dir.
"""

from __future__ import annotations

import argparse
import csv
import functools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import numpy.typing as npt
import small
from machine import heading

from keras_vae.data import ArraySplit, load_dataset
from keras_vae.data.binarize import binarized

Images = npt.NDArray[np.uint8]

LATENT = 32
BATCH = 128
# The ELBO alone, whose KL counts in full from the start to the end, and a small model: minutes are for many epochs.
OURS = (
    *("--widths", "32,32", "--no-generative-skips", "--attention-resolution", "0"),
    *("--latent", str(LATENT), "--batch-size", str(BATCH), "--binarize", "dynamic", "--likelihood", "bernoulli"),
    *("--perceptual-weight", "0", "--adversarial-weight", "0", "--beta", "1", "--beta-start", "1"),
)
ROWS = {
    "VAE": (),
    "IWAE, 5 draws": ("--importance-samples-train", "5"),
    "VampPrior": ("--prior", "vamp"),
    "flow prior": ("--prior", "flow"),
}
PEERS = {"pythae, VAE": "VAE", "pythae, IWAE, 5 draws": "IWAE"}
# Draws of a peer that are decoded at a time.
DRAWN = 256


def train(options: list[str], folder: Path) -> list[dict[str, str]]:
    """A run of `keras-vae train`; returns its metrics, a row an epoch."""
    command = [str(Path(sys.executable).with_name("keras-vae")), "train", *options, "--run-dir", str(folder)]
    print(" ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def options_of(row: str, arguments: argparse.Namespace) -> list[str]:
    """The options of `keras-vae train` for one of our rows."""
    return [*OURS, *(small.RUN if arguments.smoke else ()), "--dataset", arguments.dataset, *ROWS[row]]


def speed_of_ours(row: str, arguments: argparse.Namespace) -> float:
    """Images a second in the second of two short epochs: nothing is traced in it."""
    short = [] if arguments.smoke else ["--train-split", "train[:6000]", "--test-split", "test[:1000]"]
    with tempfile.TemporaryDirectory() as name:
        history = train([*options_of(row, arguments), *short, "--epochs", "2"], Path(name) / "run")
    return float(history[-1]["images_per_second"])


def measure_ours(row: str, epochs: int, test: Images, arguments: argparse.Namespace) -> float:
    """Train one of our rows and sample its likelihood, in nats."""
    from keras_vae.training.likelihood import importance_sampled_nll
    from keras_vae.training.run_directory import RunDirectory
    from keras_vae.training.saving import load_model

    with tempfile.TemporaryDirectory() as name:
        train([*options_of(row, arguments), "--epochs", str(epochs)], Path(name) / "run")
        vae = load_model(RunDirectory(Path(name) / "run").model)
    return float(importance_sampled_nll(vae, test, arguments.samples).mean())


class Peer:
    """One of pythae's models with its networks for MNIST, and a step of its training."""

    def __init__(self, kind: str, grey: Images) -> None:
        import torch
        from pythae import models
        from pythae.models.nn.benchmarks.mnist import Decoder_ResNet_AE_MNIST, Encoder_ResNet_VAE_MNIST

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.manual_seed(0)
        more = {"number_samples": 5} if kind == "IWAE" else {}
        config = getattr(models, f"{kind}Config")(
            input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce", **more
        )
        encoder, decoder = Encoder_ResNet_VAE_MNIST(config), Decoder_ResNet_AE_MNIST(config)
        self.model = getattr(models, kind)(config, encoder, decoder)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.pixels = torch.from_numpy(np.moveaxis(grey, -1, 1).copy())

    def step(self, done: float) -> None:
        """Train on one batch; ``done`` is the fraction of the training that is over."""
        import torch
        from pythae.data.datasets import DatasetOutput

        self.optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * done))
        batch = self.pixels[torch.randint(len(self.pixels), (BATCH,))].float() / 255
        self.optimizer.zero_grad()
        self.model(DatasetOutput(data=torch.bernoulli(batch))).loss.backward()
        self.optimizer.step()

    def nll(self, test: Images, samples: int) -> float:
        """The mean importance-sampled ``-log p(x)``, in nats, as `importance_sampled_nll` computes ours.

        pythae's own method encodes an image again for every draw.
        """
        import torch

        self.model.eval()
        drawn = torch.from_numpy(np.moveaxis(test, -1, 1).copy()).float() / 255
        with torch.inference_mode():
            return float(np.mean([self._nll_of(image[None], samples) for image in drawn]))

    def _nll_of(self, image: Any, samples: int) -> float:
        import torch

        posterior = self.model.encoder(image)
        mean, log_var = posterior.embedding, posterior.log_covariance
        logs = []
        for start in range(0, samples, DRAWN):
            noise = torch.randn(min(DRAWN, samples - start), mean.shape[1])
            z = mean + torch.exp(0.5 * log_var) * noise
            pixels = self.model.decoder(z)["reconstruction"]
            log_likelihood = -torch.nn.functional.binary_cross_entropy(
                pixels, image.expand_as(pixels), reduction="none"
            ).sum(dim=(1, 2, 3))
            # 2π cancels between p(z) and q(z|x).
            logs.append(log_likelihood + 0.5 * (noise.square() + log_var - z.square()).sum(dim=1))
        return math.log(samples) - float(torch.logsumexp(torch.cat(logs), 0))


def speed_of_peer(kind: str, grey: Images, arguments: argparse.Namespace) -> float:
    """Images a second over the second half of some steps."""
    peer, steps = Peer(kind, grey), 1 if arguments.smoke else 100
    for _ in range(steps):
        peer.step(0.0)
    begin = time.perf_counter()
    for _ in range(steps):
        peer.step(0.0)
    return BATCH * steps / (time.perf_counter() - begin)


def measure_peer(kind: str, epochs: int, grey: Images, test: Images, arguments: argparse.Namespace) -> float:
    """Train one of pythae's models and sample its likelihood, in nats."""
    peer, steps = Peer(kind, grey), max(1, epochs * len(grey) // BATCH)
    for step in range(steps):
        peer.step(step / steps)
    return peer.nll(test, arguments.samples)


def kept(place: Path, measure: Callable[[], float]) -> float:
    """What is in the file, or what is measured and then kept there."""
    if place.is_file():
        return float(place.read_text(encoding="utf-8"))
    place.parent.mkdir(parents=True, exist_ok=True)
    measured = measure()
    place.write_text(str(measured), encoding="utf-8")
    return measured


def compare(arguments: argparse.Namespace) -> None:
    """Measure the speeds, train what is missing and print the table."""
    dataset = binarized(load_dataset(arguments.dataset))
    assert isinstance(dataset.grey_train, ArraySplit)
    grey = dataset.grey_train.images
    test, _ = dataset.test.first(arguments.images)
    rows = arguments.rows or [*ROWS, *PEERS]
    speeds = {}
    for row in rows:  # all of them first: later, other work on the machine does no harm
        place = arguments.run_dir / f"{row}, images a second"
        if row in ROWS:
            speeds[row] = kept(place, functools.partial(speed_of_ours, row, arguments))
        else:
            speeds[row] = kept(place, functools.partial(speed_of_peer, PEERS[row], grey, arguments))
    print(f"{heading()}. {arguments.samples:,} draws for each of {len(test):,} test images.\n")
    print("| model | images a second | epochs | minutes | -log p(x), nats |\n| --- | --- | --- | --- | --- |")
    for row, speed in speeds.items():
        epochs = max(1, round(60 * arguments.minutes * speed / len(grey)))
        place = arguments.run_dir / f"{row}, {epochs} epochs, {arguments.samples} draws of {len(test)} images"
        if row in ROWS:
            nll = kept(place, functools.partial(measure_ours, row, epochs, test, arguments))
        else:
            nll = kept(place, functools.partial(measure_peer, PEERS[row], epochs, grey, test, arguments))
        minutes = epochs * len(grey) / speed / 60
        print(f"| {row} | {speed:.0f} | {epochs} | {minutes:.1f} | {nll:.2f} |", flush=True)


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--images", type=int, default=1000, help="test images")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--rows", nargs="+", choices=(*ROWS, *PEERS), help="by default all")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/likelihood"))
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.smoke:
            arguments.minutes, arguments.samples, arguments.images = 0.001, 2, 2
            arguments.run_dir, arguments.dataset = Path(temporary) / "runs", small.write_idx(Path(temporary))
            arguments.rows = ["flow prior", "pythae, IWAE, 5 draws"]
        compare(arguments)


if __name__ == "__main__":
    main()
