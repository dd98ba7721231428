"""The commit that a benchmark measured and the processor that it ran on, in one line above its table."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from keras_vae.training.environment import git_revision

# Instruction sets that decide how fast matrix products are, as Linux names them; the first of each row that is found.
VECTORS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON"))
NARROW_PRODUCTS = (
    ("amx_bf16", "AMX with bfloat16"),
    ("avx512_bf16", "bfloat16 products"),
    ("bf16", "bfloat16 products"),
)


def heading(threads: int | None = None) -> str:
    """For example ``keras-vae 0.1.0 at 48da2bb6cf, AMD EPYC 9R14, 2 threads, …``; ``threads`` as for `processor`."""
    commit, dash, dirty = (git_revision() or "unknown").partition("-")
    return f"keras-vae {metadata.version('keras-vae')} at {commit[:10]}{dash}{dirty}, {processor(threads)}"


def processor(threads: int | None = None) -> str:
    """For example ``AMD EPYC 9R14, 2 threads, AVX-512, bfloat16 products, no GPU``.

    Args:
        threads: how many the benchmark used; None: all that this process may run on.
    """
    count = len(os.sched_getaffinity(0)) if threads is None else threads
    fields = _cpuinfo()
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    sets = [next((name for flag, name in row if flag in flags), None) for row in (VECTORS, NARROW_PRODUCTS)]
    gpus = _gpus()
    parts = [
        fields.get("model name", platform.processor() or platform.machine()),
        f"{count} thread{'' if count == 1 else 's'}",
        *(name for name in sets if name is not None),
        ", ".join(gpus) or "no GPU",
    ]
    return ", ".join(parts)


def _cpuinfo(path: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """What Linux says of the first processor; empty on other systems."""
    try:
        lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): " ".join(value.split()) for key, _, value in (line.partition(":") for line in lines)}


def _gpus() -> list[str]:
    """Names of the GPUs whose driver Linux has loaded, without a framework that would take their memory."""
    found = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        model = next((line for line in information.read_text().splitlines() if line.startswith("Model:")), "Model: GPU")
        found.append(model.partition(":")[2].strip())
    return found
