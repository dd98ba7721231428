"""How the documents' shell blocks are executed: what is left out, shared or reduced."""

import shlex
import sys
from pathlib import Path

from documents import DOCUMENTS, commands

# Commands with these beginnings are not executed, for these reasons.
NOT_EXECUTED = {
    "pip install": "installs from a package index; .ci/run does it in an environment of its own",
    "git clone": "needs the address of the repository",
    "cd keras-vae": "follows it",
    "mkdocs serve": "serves until it is stopped; .ci/run builds the documentation",
    "pytest": "executes the documents itself",
    "KERAS_BACKEND=jax pytest": "is another run of the tests, which .ci/run makes",
    "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/": "takes minutes; tests/benchmarks has its smallest size",
    "python benchmarks/": "takes minutes; tests/benchmarks has their smallest size",
    "tensorboard": "serves until it is stopped; tests/callbacks/test_callbacks_tensorboard_server.py asks one",
    "docker run": "needs Docker and an image from a registry",
    "curl": "asks TensorFlow Serving; tests/examples/test_examples_rest.py asks a stand-in",
    "python examples/serving_rest.py": "asks TensorFlow Serving, as above",
    "python examples/serving_grpc.py": "asks TensorFlow Serving; tests/examples/test_examples_grpc.py asks a stand-in",
    "sbatch": "needs Slurm; the tests set the variables that it would",
    "keras-vae train --preset photos128": "needs a folder of photographs and several GPUs or machines",
    "export TF_CONFIG": "needs two machines; tests/distributed has two processes",
    "kubectl": "needs a cluster; the manifest it names is read by another test",
    "keras-vae encode /shared/": "needs a Flink cluster, and a disk that it shares",
    "keras-vae encode /opt/": "needs a project on Google Cloud",
}
# Commands that several documents start from. They run once, in this order; each document gets a copy of the folder.
SHARED = (
    "keras-vae train --latent 2",
    "keras-vae export runs/mnist-latent2",
    "keras-vae experiment --latents 2,4,16",
    "keras-vae train --dataset folder:photos --preset faces64 --latent 128",
)
# Options appended to a command so that it takes seconds. The last value of an option counts.
_SMALL_MODEL = (
    *("--epochs", "1", "--batch-size", "60", "--widths", "8,8", "--groups", "4", "--mapping-layers", "0"),
    *("--attention-resolution", "0", "--no-generative-skips", "--adversarial-weight", "0", "--perceptual-weight", "0"),
    *("--optimizer", "adamw"),
)
REDUCED = {
    "train": _SMALL_MODEL,
    "experiment": (*_SMALL_MODEL, "--latents", "2,16", "--no-export"),  # exporting is a command of its own
    "evaluate": ("--importance-samples", "2"),
}


def documents_to_execute():
    """The documents with commands to execute."""
    return [path for path in DOCUMENTS if commands_to_execute(path)]


def commands_to_execute(path):
    """The commands of a document that are neither shared nor left out."""
    return [
        command for command in commands(path) if command not in SHARED and not command.startswith(tuple(NOT_EXECUTED))
    ]


def write_reduced_command(folder):
    """A ``keras-vae`` that adds `REDUCED` to the installed command, except to resumed runs and batch jobs."""
    cases = "\n".join(f'  {name}) set -- "$@" {shlex.join(options)} ;;' for name, options in REDUCED.items())
    command = folder / "keras-vae"
    installed = Path(sys.executable).with_name("keras-vae")
    command.write_text(
        f"""#!/bin/sh
case "$* " in *" --resume "* | *" --beam "*) exec {installed} "$@" ;; esac
case "$1" in
{cases}
esac
exec {installed} "$@"
""",
        encoding="utf-8",
    )
    command.chmod(0o755)
