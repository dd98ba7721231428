"""``keras-vae doctor``: what this machine has, what a run would choose, and how to fix what is missing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import click

from keras_vae.errors import InputError

from .options import json_option
from .runtime import start_tensorflow

# A run on MNIST takes about 60 MB, an exported model 15 MB, and TFDS needs 50 MB to prepare MNIST.
_LITTLE_DISK = 1e9
# Exists if NVIDIA's driver is loaded, whether or not TensorFlow can use it.
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@click.command("doctor", short_help="Show what this machine has, and what is missing.")
@click.option("--data-dir", help="TFDS's data directory; by default the environment's TFDS_DATA_DIR.")
@json_option
def command(data_dir: str | None, as_json: bool) -> None:
    """Show versions, devices, the data found, and the precision that a run would choose and why. Nothing is downloaded.

    Problems come last, each with its remedy.

    \b
    Examples:
      keras-vae doctor
      keras-vae doctor --json
    """
    findings, advice = _examine(data_dir)
    if as_json:
        click.echo(json.dumps({**findings, "advice": advice}, indent=2))
        return
    for topic, found in findings.items():
        text = ", ".join(f"{key} {value}" for key, value in found.items()) if isinstance(found, dict) else found
        click.echo(f"{topic:<10} {text}")
    for line in advice or ["nothing is missing"]:
        click.echo(f"{'advice':<10} {line}")


def _examine(data_dir: str | None) -> tuple[dict[str, Any], list[str]]:
    """The findings by topic, and advice."""
    from keras_vae.training.requirements import package_versions, unmet_requirements

    findings: dict[str, Any] = {"versions": package_versions()}
    advice = [
        f"{unmet}: pip install keras-vae, which keeps a checkout and installs what it needs"
        for unmet in unmet_requirements()
    ]
    try:
        start_tensorflow()
    except ImportError as error:
        advice.append(f"TensorFlow and Keras cannot be imported ({error}): install keras-vae in a new environment")
        return findings, advice
    from keras_vae.training.device import choose_jit, choose_precision, gpus

    precision, jit = choose_precision("auto"), choose_jit("auto")
    found_gpus = ", ".join(name for name, _ in gpus())
    data, data_advice = _look_for_mnist(data_dir)
    free = shutil.disk_usage(".").free
    findings |= {
        "cpu": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores",
        "gpu": found_gpus or "none that TensorFlow sees",
        "precision": f"{precision.value} ({precision.reason})",
        "xla": f"{jit.value} ({jit.reason})",
        "data": data,
        "disk": f"{free / 1e9:.1f} GB free here",
    }
    advice += [] if found_gpus else _explain_no_gpu()
    advice += data_advice
    if free < _LITTLE_DISK:
        advice.append("little disk is free here: a run takes 60 MB or more; choose another --run-dir or make room")
    if not os.access(".", os.W_OK):
        advice.append(f"{Path.cwd()} cannot be written: give --run-dir a folder that can")
    return findings, advice


def _explain_no_gpu() -> list[str]:
    """Why TensorFlow does not see a GPU that is there; empty if there is none."""
    import tensorflow as tf

    if not _NVIDIA_DRIVER.exists():
        return []
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return [f"CUDA_VISIBLE_DEVICES={hidden} hides the GPU: unset it to train on the GPU"]
    if not tf.sysconfig.get_build_info().get("is_cuda_build"):
        return [
            "there is a GPU, but this TensorFlow is built without CUDA: install tensorflow instead of tensorflow-cpu"
        ]
    return ["there is a GPU, but TensorFlow does not find CUDA's libraries: pip install 'keras-vae[gpu]'"]


def _look_for_mnist(data_dir: str | None) -> tuple[str, list[str]]:
    """What ``--dataset auto`` would find, and advice on how to get more."""
    from keras_vae.data.tfds_source import find_prepared

    try:
        is_prepared, folder = find_prepared("mnist", data_dir)
    except InputError as error:
        return "the bundled sample (5,000 digits)", [str(error)]
    if is_prepared:
        return f"MNIST, prepared in {folder}", []
    return f"the bundled sample (5,000 digits); MNIST is not prepared in {folder}", [
        "for all 70,000 digits of MNIST: connect to the network, so that train can download them, or give --data-dir "
        "or TFDS_DATA_DIR where TFDS has prepared them, or --dataset idx:DIR"
    ]
