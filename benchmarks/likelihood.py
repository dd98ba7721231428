"""The likelihood of binarised MNIST after the same minutes of training: objectives and priors, and pythae beside them.

A row of ours is a run of `keras-vae train`. Its first 6,000 images tell how many epochs fit the minutes. The peers are
pythae 0.1.2's models with its networks for MNIST, trained by Adam under a cosine schedule in a plain loop, which draws
the pixels of a batch anew each time, as ours does. ``-log p(x)`` is importance sampled with the posterior as the
proposal, on the same drawn test images.

Needs ``pip install -e ".[bench]"``.
Run: python benchmarks/likelihood.py, or with --rows VAE IWAE. Finished rows are kept in --run-dir.
"""

from __future__ import annotations

import argparse
import csv
import json
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
# The ELBO alone. The KL counts in full from the start to the end.
OURS = (
    *("--latent", str(LATENT), "--batch-size", str(BATCH), "--binarize", "dynamic", "--likelihood", "bernoulli"),
    *("--perceptual-weight", "0", "--adversarial-weight", "0", "--beta", "1", "--beta-start", "1"),
)
ROWS = {
    "VAE": (),
    "IWAE, 5 draws": ("--importance-samples-train", "5"),
    "VampPrior": ("--prior", "vamp"),
    "flow prior": ("--prior", "flow"),
}
PEERS = {"pythae, VAE": "VAE", "pythae, IWAE, 5 draws": "IWAE", "pythae, VampPrior": "VAMP"}


def train(options: list[str], folder: Path) -> list[dict[str, str]]:
    """A run of `keras-vae train`; returns its metrics, a row an epoch."""
    command = [str(Path(sys.executable).with_name("keras-vae")), "train", *options, "--run-dir", str(folder)]
    print(" ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measure_ours(options: tuple[str, ...], test: Images, arguments: argparse.Namespace) -> dict[str, float]:
    """Train one of our rows and sample its likelihood."""
    from keras_vae.training.likelihood import importance_sampled_nll
    from keras_vae.training.run_directory import RunDirectory
    from keras_vae.training.saving import load_model

    given = [*OURS, *(small.RUN if arguments.smoke else ()), "--dataset", arguments.dataset, *options]
    with tempfile.TemporaryDirectory() as name:
        epochs = 1
        if not arguments.smoke:
            first = ["--train-split", "train[:6000]", "--test-split", "test[:1000]", "--epochs", "2"]
            speed = float(train([*given, *first], Path(name) / "probe")[-1]["images_per_second"])
            epochs = max(1, round(60 * arguments.minutes * speed / 60_000))
        history = train([*given, "--epochs", str(epochs)], Path(name) / "run")
        vae = load_model(RunDirectory(Path(name) / "run").model)
    return {
        "minutes": sum(float(row["seconds"]) for row in history) / 60,
        "epochs": epochs,
        "nll": float(importance_sampled_nll(vae, test, arguments.samples).mean()),
    }


def measure_peer(kind: str, grey: Images, test: Images, arguments: argparse.Namespace) -> dict[str, float]:
    """Train one of pythae's models and sample its likelihood."""
    import torch
    from pythae import models
    from pythae.data.datasets import DatasetOutput
    from pythae.models.nn.benchmarks.mnist import Decoder_ResNet_AE_MNIST, Encoder_ResNet_VAE_MNIST

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    more = {"number_samples": 5} if kind == "IWAE" else {}
    config = getattr(models, f"{kind}Config")(
        input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce", **more
    )
    model = getattr(models, kind)(config, Encoder_ResNet_VAE_MNIST(config), Decoder_ResNet_AE_MNIST(config))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    pixels = torch.from_numpy(np.moveaxis(grey, -1, 1).copy())
    limit = 60 * arguments.minutes
    begin, steps = time.perf_counter(), 0
    while (past := time.perf_counter() - begin) < limit:
        optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * past / limit))
        batch = pixels[torch.randint(len(pixels), (BATCH,))].float() / 255
        optimizer.zero_grad()
        model(DatasetOutput(data=torch.bernoulli(batch))).loss.backward()
        optimizer.step()
        steps += 1
    model.eval()
    drawn = torch.from_numpy(np.moveaxis(test, -1, 1).copy()).float() / 255
    with torch.inference_mode():
        nll = model.get_nll(drawn, n_samples=arguments.samples, batch_size=min(250, arguments.samples))
    return {"minutes": limit / 60, "epochs": steps * BATCH / len(pixels), "nll": float(nll)}


def kept(place: Path, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What is in the file, or what is measured and then kept there."""
    if place.is_file():
        found: dict[str, float] = json.loads(place.read_text(encoding="utf-8"))
        return found
    place.parent.mkdir(parents=True, exist_ok=True)
    measured = measure()
    place.write_text(json.dumps(measured), encoding="utf-8")
    return measured


def compare(arguments: argparse.Namespace) -> None:
    """Train what is missing and print the table."""
    dataset = binarized(load_dataset(arguments.dataset))
    assert isinstance(dataset.grey_train, ArraySplit)
    grey = dataset.grey_train.images
    test, _ = dataset.test.first(arguments.images)
    rows: dict[str, Callable[[], dict[str, float]]] = {}
    for name, options in ROWS.items():
        rows[name] = lambda options=options: measure_ours(options, test, arguments)
    for name, kind in PEERS.items():
        rows[name] = lambda kind=kind: measure_peer(kind, grey, test, arguments)
    print(f"{heading()}. {arguments.samples:,} draws for each of {len(test):,} test images.\n")
    print("| model | minutes of training | epochs | -log p(x), nats |\n| --- | --- | --- | --- |")
    for name in arguments.rows or rows:
        found: dict[str, Any] = kept(arguments.run_dir / f"{name}.json", rows[name])
        print(f"| {name} | {found['minutes']:.1f} | {found['epochs']:.1f} | {found['nll']:.2f} |", flush=True)


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
        compare(arguments)


if __name__ == "__main__":
    main()
