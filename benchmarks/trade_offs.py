"""Measure what β and the weights of the objective trade against each other, and what each part of the model gains.

Trains and evaluates one run per row, with the same seed and number of epochs, and prints Markdown tables. Finished runs
are kept, so a second call continues where the first was stopped.

Run: python benchmarks/trade_offs.py --latent 2 --ablation && python benchmarks/trade_offs.py --latent 16
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import small
from machine import heading

from keras_vae.config import preset

Options = tuple[str, ...]  # of `keras-vae train`, in addition to the preset

FIGURES = {
    "MSE": ("mse", ".4f"),
    "LPIPS": ("lpips", ".4f"),
    "KL": ("kl", ".1f"),
    "ELBO": ("elbo", ".0f"),
    "FD, reconstructions": ("frechet_reconstructions", ".0f"),
    "FD, prior": ("frechet_prior", ".0f"),
    "FD, mixture": ("frechet_gmm", ".0f"),
}


# λ_p, and a β that keeps the KL about as the preset has it, since β is balanced against NLL plus λ_p·LPIPS.
PERCEPTUAL = {2: ((0.0, 1.3), (2000.0, 1.7)), 4: ((0.0, 1.8), (4000.0, 3.0)), 16: ((0.0, 2.7), (50_000.0, 5.0))}


def rate_distortion(latent: int) -> dict[str, Options]:
    """The preset with a β four times smaller and larger, with other λ_p, and with zero and three times the λ_a."""
    objective = preset(f"mnist-latent{latent}").objective
    rows: dict[str, Options] = {"the preset": ()}
    for factor in (0.25, 4.0):
        rows[f"β = {objective.beta * factor:.3g}"] = _beta(objective.beta * factor)
    for weight, beta in PERCEPTUAL[latent]:
        rows[f"λ_p = {weight:,.0f}, β = {beta}"] = ("--perceptual-weight", f"{weight:g}", *_beta(beta))
    for factor in (0.0, 3.0):
        weight = objective.adversarial_weight * factor
        rows[f"λ_a = {weight:.3g}"] = ("--adversarial-weight", f"{weight:g}")
    return rows


def _beta(beta: float) -> Options:
    return "--beta", f"{beta:g}", "--beta-start", f"{max(4.0, beta):g}"


def ablation() -> dict[str, Options]:
    """The preset with one part removed at a time."""
    no_gan, no_vgg16 = ("--adversarial-weight", "0"), ("--perceptual-weight", "0")
    return {
        "everything": (),
        "no PatchGAN": no_gan,
        "no VGG16 (nor the discriminator of its features)": no_vgg16,
        "neither (the ELBO alone)": (*no_gan, *no_vgg16),
        "no generative skips": ("--no-generative-skips",),
        "no attention": ("--attention-resolution", "0", "--no-generative-skips"),
        "AdamW instead of Muon": ("--optimizer", "adamw"),
        "plain autoencoder": ("--no-variational",),
    }


def measured(run: Path, options: Options, threads: int) -> dict[str, float]:
    """The run's metrics from `keras-vae evaluate`; the run is trained first if it does not exist."""
    evaluation = run / "evaluation.json"
    if not evaluation.is_file():
        shutil.rmtree(run, ignore_errors=True)
        run.parent.mkdir(parents=True, exist_ok=True)
        command = str(Path(sys.executable).with_name("keras-vae"))
        environment = {**os.environ, "TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
        with open(run.with_suffix(".log"), "w", encoding="utf-8") as log:
            for arguments in (
                ["train", *options, "--run-dir", str(run)],
                ["evaluate", str(run), "--importance-samples", "0"],
            ):
                print(f"{run.name}: {' '.join(arguments)}", file=sys.stderr, flush=True)
                subprocess.run([command, *arguments], env=environment, stdout=log, stderr=log, check=True)
        # Only the figures are needed; the checkpoints of fifty runs take a gigabyte.
        shutil.rmtree(run / "checkpoints")
    metrics: dict[str, float] = json.loads(evaluation.read_text(encoding="utf-8"))["metrics"]
    return metrics


def print_table(title: str, rows: dict[str, dict[str, float]]) -> None:
    """One Markdown table."""
    print(f"\n### {title}\n")
    print("| run | " + " | ".join(FIGURES) + " |")
    print("| --- |" + " --- |" * len(FIGURES))
    for row, metrics in rows.items():
        print(f"| {row} | " + " | ".join(format(metrics[key], form) for key, form in FIGURES.values()) + " |")


def main() -> None:
    """Read the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latent", type=int, choices=PERCEPTUAL, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--ablation", action="store_true", help="also remove one part of the model at a time")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--run-dir", type=Path, default=Path("runs/trade-offs"))
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=cores, help="simultaneous runs, which share the cores")
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.smoke:
            arguments.epochs, arguments.run_dir = 1, Path(temporary)
            arguments.dataset = small.write_idx(Path(temporary))
        compare(arguments, max(1, cores // arguments.jobs))


def compare(arguments: argparse.Namespace, threads: int) -> None:
    """Train missing runs, each on ``threads`` threads, and print the tables."""
    latent = arguments.latent
    shared: Options = (
        "--preset",
        f"mnist-latent{latent}",
        "--dataset",
        arguments.dataset,
        "--epochs",
        str(arguments.epochs),
        "--no-pictures",
    )
    tables = {"Rate and distortion": rate_distortion(latent)} | ({"Ablation": ablation()} if arguments.ablation else {})
    if arguments.smoke:
        shared += small.RUN
        # The last row, which has a PatchGAN.
        tables = {title: dict([rows.popitem()]) for title, rows in tables.items()}
    # A run that appears in both tables is trained once.
    options = dict.fromkeys(extra for rows in tables.values() for extra in rows.values())
    place = arguments.run_dir / f"latent{latent}-{arguments.epochs}epochs"
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {
            extra: pool.submit(measured, place / _folder_name(extra), (*shared, *extra), threads) for extra in options
        }
    print(heading())
    for title, rows in tables.items():
        print_table(
            f"{title}, latent {latent}, {arguments.epochs} epochs",
            {row: waiting[extra].result() for row, extra in rows.items()},
        )


def _folder_name(options: Options) -> str:
    return "_".join(option.removeprefix("--") for option in options) or "preset"


if __name__ == "__main__":
    main()
