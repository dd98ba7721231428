"""Where the time goes between typing a command and its result, and the time of `--help` as a ratio to importing Click.

Measures the commands: `train` to the end of its first step, `evaluate` without importance sampling, `export` with all
TFLite files, and `experiment`. A phase is the time inside of the functions that `PHASES` names, less the phases within
it; the rest of the command, from the start of its process on, is "other". "processor" is the processor time of all
threads, which other work on the machine changes less. Another environment, such as one with an older commit, is
measured in turns with this one.

Run: python benchmarks/start_up.py --dataset mnist --before ../before/.venv/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from machine import heading
from small import RUN, add_smoke_option, write_idx

COMMAND = Path(sys.executable).with_name("keras-vae")
DATA = {"keras_vae.data:load_dataset": "data"}
EVALUATION = "keras_vae.training.evaluation"
PHASES = {
    "train": {
        **DATA,
        "keras_vae.training.build:build_trainer": "build",
        "keras_vae.training.trainer:VAETrainer.train_step": "trace",
        "keras_vae.callbacks:fit_run": "run",
    },
    "evaluate": {
        **DATA,
        "keras_vae_cli.evaluate:open_model": "build",
        f"{EVALUATION}:measure_reconstructions": "reconstructions",
        f"{EVALUATION}:posterior_draws": "posteriors",
        f"{EVALUATION}:_features_of_draws": "draws",
        f"{EVALUATION}:evaluation_report": "figures",
    },
    "export": {
        **DATA,
        "keras_vae_cli.export:open_model": "build",
        "keras_vae.export.export:write_saved_model": "SavedModel",
        "keras_vae.export.export:signature_differences": "comparison",
        "keras_vae.export.export:write_tflite": "TFLite",
        "keras_vae.export.export:write_warmup_requests": "warm-up requests",
        "keras_vae.export.export:replay_warmup_requests": "warm-up requests",
    },
    "experiment": {
        **DATA,
        "keras_vae.training.build:build_trainer": "build",
        "keras_vae.training.trainer:VAETrainer.train_step": "trace",
        "keras_vae.callbacks:fit_run": "training",
        "keras_vae_cli.experiment:evaluate_run": "evaluate",
        "keras_vae_cli.experiment:export_run": "export",
        "keras_vae_cli.experiment:compare_runs": "compare",
    },
}
# python -c DRIVER phases.json seconds.json COMMAND OPTION...: runs a command, and writes the seconds of its phases.
DRIVER = """
import time
begin = time.perf_counter()
import functools, importlib, json, sys
from pathlib import Path
import keras_vae_cli.main, keras_vae_cli.runtime
keras_vae_cli.runtime.start_tensorflow()
phases = json.loads(Path(sys.argv[1]).read_text())
owners = {place: importlib.import_module(place.partition(":")[0]) for place in phases}
import keras
from keras_vae.training import VAETrainer
seconds, within = {"import": time.perf_counter() - begin}, [0.0]

def timed(function, phase):
    @functools.wraps(function)
    def call(*arguments, **named):
        within.append(0.0)
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent = time.perf_counter() - start
            seconds[phase] = seconds.get(phase, 0.0) + spent - within.pop()
            within[-1] += spent
    return call

for place, phase in phases.items():
    *path, name = place.partition(":")[2].split(".")
    owner = functools.reduce(getattr, path, owners[place])
    setattr(owner, name, timed(getattr(owner, name), phase))

class Done(BaseException):
    pass

class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise Done

file, sys.argv = Path(sys.argv[2]), ["keras-vae", *sys.argv[3:]]
if sys.argv[1] == "train":
    fit = VAETrainer.fit
    VAETrainer.fit = lambda self, *a, callbacks=(), **k: fit(self, *a, callbacks=[*callbacks, Stop()], **k)
try:
    keras_vae_cli.main.main()
except Done:
    pass
except SystemExit as end:
    if end.code:
        raise
file.write_text(json.dumps({"seconds": seconds, "processor": time.process_time(), "end": time.time()}))
"""


def seconds(*command: object) -> float:
    """Wall time of a command, which must succeed."""
    begin = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return time.perf_counter() - begin


def phases_of(python: str, command: str, options: list[str], folder: Path) -> dict[str, float]:
    """Seconds of each phase of ``python``'s ``keras-vae`` command, run in ``folder``, and the rest as ``other``.

    ``seconds`` is their sum, ``processor`` the processor time of all threads.
    """
    phases, found = folder / "phases.json", folder / "seconds.json"
    phases.write_text(json.dumps(PHASES[command]), encoding="utf-8")
    begin = time.time()  # the other process cannot read this one's performance counter
    subprocess.run(
        [python, "-c", DRIVER, str(phases), str(found), command, *options],
        cwd=folder,
        # As training sets it, which would otherwise start the process again.
        env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    measured = json.loads(found.read_text(encoding="utf-8"))
    total = measured["end"] - begin
    other = total - sum(measured["seconds"].values())
    return {**measured["seconds"], "other": other, "seconds": total, "processor": measured["processor"]}


def measure_help(rounds: int) -> None:
    """Print how long `--help` takes, in turns with the import of Click."""
    help_times, click_times = [], []
    for _ in range(rounds):
        help_times.append(seconds(COMMAND, "--help"))
        click_times.append(seconds(sys.executable, "-c", "import click"))
    ratio = statistics.median(help_times) / statistics.median(click_times)
    print(f"keras-vae --help: {statistics.median(help_times):.3f} s, {ratio:.2f} times `python -c 'import click'`\n")


def row(name: str, found: list[dict[str, float]], columns: Iterable[str]) -> str:
    """A row of the table: the median of each column."""
    middle = [statistics.median(turn.get(column, 0.0) for turn in found) for column in columns]
    return " | ".join(["", name, *(f"{seconds:.1f}" for seconds in middle), ""]).strip()


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="sample", help="what the commands read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--commands", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("--before", help="the Python of another environment, which is measured in turns with this one")
    add_smoke_option(parser)
    arguments = parser.parse_args()
    rounds = 1 if arguments.smoke else arguments.rounds
    pythons = {**({"before": arguments.before} if arguments.before else {}), "now": sys.executable}
    print(f"{heading()}\n")
    measure_help(rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_idx(folder) if arguments.smoke else arguments.dataset
        training = [*(RUN if arguments.smoke else ()), "--epochs", "1", "--dataset", data]
        options = {
            "train": [*training, "--latent", "2", "--overwrite"],
            "evaluate": ["mnist-latent2", "--dataset", data, "--importance-samples", "0"],
            "export": ["mnist-latent2", "--dataset", data, "--to", "exports"],
            "experiment": [*training, "--latents", "2" if arguments.smoke else "2,4", "--overwrite"],
        }
        if arguments.smoke:
            options["export"].append("--no-tflite")
            options["experiment"].append("--no-export")
        for command in arguments.commands:
            if arguments.smoke and command != "train":  # one command is enough to see both environments
                pythons = {"now": sys.executable}
            found: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
            for turn in range(1 if command == "experiment" else rounds):
                for number, (name, python) in enumerate(pythons.items(), 1):
                    version = ["--version", str(len(pythons) * turn + number)] if command == "export" else []
                    found[name].append(phases_of(python, command, [*options[command], *version], folder))
            columns = ["import", *dict.fromkeys(PHASES[command].values()), "other", "seconds", "processor"]
            print(f"| {command} | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
            for name, turns in found.items():
                print(row(name, turns, columns))
            print(flush=True)


if __name__ == "__main__":
    main()
