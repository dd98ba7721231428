"""The environment that a run records: versions, devices, precision, git revision."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any

from keras_vae.config import RunConfig
from keras_vae.training.device import choose_jit, choose_precision, gpus
from keras_vae.training.requirements import package_versions


def describe_environment(config: RunConfig, replicas: int = 1) -> dict[str, Any]:
    """Versions, devices, precision and XLA with their reasons, and a checkout's git revision; ready for JSON."""
    precision, jit = choose_precision(config.precision), choose_jit(config.jit, replicas)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "gpus": [name for name, _ in gpus()],
        "replicas": replicas,
        "precision": {"value": precision.value, "reason": precision.reason},
        "jit": {"value": jit.value, "reason": jit.reason},
        "git_revision": git_revision(),
    }


def git_revision() -> str | None:
    """The commit of the checkout that this file is in, with "-dirty" appended if it was changed; None if unknown."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
