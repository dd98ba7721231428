"""Time from typing a command to its help (as a ratio to importing Click) and to the first training step.

Run: python benchmarks/start_up.py [options of keras-vae train]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = Path(sys.executable).with_name("keras-vae")
# Trains as the command does, but stops after the first step.
FIRST_STEP = """
import sys, time
import keras_vae_cli.main, keras_vae_cli.runtime
keras_vae_cli.runtime.start_tensorflow()
import keras
from keras_vae.training.trainer import VAETrainer

fit = VAETrainer.fit
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        print("first step", flush=True)
        sys.stdout.flush()
        import os
        os._exit(0)
VAETrainer.fit = lambda self, *a, callbacks=(), **k: fit(self, *a, callbacks=[*callbacks, Stop()], **k)
sys.argv = ["keras-vae", "train", *sys.argv[1:]]
keras_vae_cli.main.main()
"""


def seconds(*command: object) -> float:
    """Wall time of a command, which must succeed."""
    begin = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure in turns and print."""
    help_times, click_times = [], []
    for _ in range(15):
        help_times.append(seconds(COMMAND, "--help"))
        click_times.append(seconds(sys.executable, "-c", "import click"))
    ratio = statistics.median(help_times) / statistics.median(click_times)
    print(f"keras-vae --help: {statistics.median(help_times):.3f} s, {ratio:.2f} times `python -c 'import click'`")
    with tempfile.TemporaryDirectory() as folder:
        first_steps = [
            seconds(sys.executable, "-c", FIRST_STEP, *sys.argv[1:], "--run-dir", f"{folder}/{index}")
            for index in range(3)
        ]
    print(f"keras-vae train, to the end of the first step: {statistics.median(first_steps):.1f} s (median of 3)")


if __name__ == "__main__":
    main()
