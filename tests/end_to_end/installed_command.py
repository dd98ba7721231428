"""Run the installed ``keras-vae`` program."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("keras-vae")
# A model that is quick to trace. All other settings are the default preset's, with every loss on.
SMALL = (
    *("--widths", "8", "--groups", "4", "--attention-resolution", "14"),
    *("--discriminator-widths", "8", "--batch-size", "50"),
)


def bare_environment() -> dict[str, str]:
    """This process's environment without a data folder or a Keras backend."""
    return {name: value for name, value in os.environ.items() if name not in ("TFDS_DATA_DIR", "KERAS_BACKEND")}


def run_command(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``keras-vae`` where only the bundled data set is available."""
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        cwd=cwd,
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
