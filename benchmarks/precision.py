"""Speed and quality of training in float32 and in mixed_bfloat16: whether `--precision auto` may choose the latter.

`keras-vae train` and `keras-vae evaluate` make one run per precision and seed, and the precisions take turns. Finished
runs are kept, so a second call continues where the first was stopped.

Run: python benchmarks/precision.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import small
from machine import heading
from trade_offs import measured

from keras_vae.training.device import choose_precision
from keras_vae.training.run_directory import RunDirectory

BASE, OTHER = "float32", "mixed_bfloat16"
# Column of the table → figure of a run, format.
COLUMNS = {
    "steps/s": ("steps_per_second", ".2f"),
    "MSE": ("mse", ".5f"),
    "LPIPS": ("lpips", ".5f"),
    "KL": ("kl", ".3f"),
}

Figures = dict[str, float]


def figures_of(run: Path, options: tuple[str, ...]) -> Figures:
    """Speed of the training steps (median of the epochs) and figures on the test images; trains the run if missing."""
    metrics = measured(run, options, len(os.sched_getaffinity(0)))
    written = RunDirectory.open(run)
    images_per_second = written.read_summary()["images_per_second"]
    return {**metrics, "steps_per_second": images_per_second / written.read_config().data.batch_size}


def print_table(found: dict[str, list[Figures]]) -> None:
    """One row per precision: mean ± standard deviation over the seeds."""
    print("| precision | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    for precision, runs in found.items():
        cells = []
        for key, form in COLUMNS.values():
            mean, deviation = moments(runs, key)
            cells.append(f"{mean:{form}}" + (f" ± {deviation:{form}}" if len(runs) > 1 else ""))
        print(f"| {precision} | {' | '.join(cells)} |")


def moments(runs: list[Figures], key: str) -> tuple[float, float]:
    """Mean and standard deviation over the seeds; the deviation is 0 for one seed."""
    values = [run[key] for run in runs]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def verdict(found: dict[str, list[Figures]]) -> str:
    """The ratio of the speeds and each figure's difference, relative to float32 and to the spread across seeds."""
    parts = []
    for column, (key, _) in COLUMNS.items():
        (base, base_deviation), (other, other_deviation) = (moments(found[name], key) for name in (BASE, OTHER))
        if key == "steps_per_second":
            parts.append(f"{other / base:.2f} times the steps per second")
            continue
        spread = ((base_deviation**2 + other_deviation**2) / 2) ** 0.5
        against = f"{(other - base) / spread:+.1f} standard deviations" if spread else "one seed"
        parts.append(f"{column} {other / base - 1:+.2%} ({against})")
    return f"{OTHER} compared with {BASE}: {'; '.join(parts)}."


def main() -> None:
    """Train missing runs and print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="mnist")
    parser.add_argument("--epochs", type=int, help="by default the preset's")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--run-dir", type=Path, default=Path("runs/precision"))
    small.add_smoke_option(parser)
    arguments = parser.parse_args()
    options: tuple[str, ...] = ("--preset", arguments.preset, "--no-pictures")
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.smoke:
            options += small.RUN
            arguments.dataset, arguments.epochs = small.write_idx(Path(temporary)), 1
            arguments.run_dir, arguments.seeds = Path(temporary), arguments.seeds[:1]
        options += ("--dataset", arguments.dataset)
        if arguments.epochs is not None:
            options += ("--epochs", str(arguments.epochs))
        place = arguments.run_dir / f"{arguments.preset}-{arguments.epochs or 'all'}epochs"
        found: dict[str, list[Figures]] = {BASE: [], OTHER: []}
        for seed in arguments.seeds:
            for precision, runs in found.items():
                own = ("--seed", str(seed), "--precision", precision)
                runs.append(figures_of(place / f"{precision}-seed{seed}", (*options, *own)))
    choice = choose_precision("auto")
    print(f"{heading()}; `--precision auto` is {choice.value} ({choice.reason})\n")
    print_table(found)
    print(f"\n{verdict(found)}")


if __name__ == "__main__":
    main()
