"""``keras-vae doctor``: what this machine has, and what a run would make of it."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import click

from .options import json_option
from .runtime import start_tensorflow


@click.command("doctor", short_help="Show what this machine has.")
@click.option("--data-dir", help="TFDS's data_dir (also the environment's TFDS_DATA_DIR).")
@json_option
def command(data_dir: str | None, as_json: bool) -> None:
    """Show versions, devices, the precision that would be chosen and why, and the data found.

    \b
    Examples:
      keras-vae doctor
      keras-vae doctor --json
    """
    start_tensorflow()
    findings = _examine(data_dir)
    if as_json:
        click.echo(json.dumps(findings, indent=2))
        return
    for topic, found in findings.items():
        text = ", ".join(f"{key} {value}" for key, value in found.items()) if isinstance(found, dict) else found
        click.echo(f"{topic:<10} {text}")


def _examine(data_dir: str | None) -> dict[str, Any]:
    from keras_vae.data import load_dataset
    from keras_vae.training.device import choose_jit, choose_precision, gpus
    from keras_vae.training.environment import package_versions

    precision, jit = choose_precision("auto"), choose_jit("auto")
    remarks: list[str] = []
    dataset = load_dataset("auto", data_dir, say=remarks.append)
    return {
        "versions": package_versions(),
        "cpu": f"{os.cpu_count()} cores",
        "gpu": ", ".join(name for name, _ in gpus()) or "none that TensorFlow sees",
        "precision": f"{precision.value} ({precision.reason})",
        "xla": f"{jit.value} ({jit.reason})",
        "data": " ".join([f"{dataset.name}, {dataset.train.count:,} + {dataset.test.count:,} images.", *remarks]),
        "disk": f"{shutil.disk_usage('.').free / 1e9:.1f} GB free here",
    }
