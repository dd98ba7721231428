"""The precision of a run and whether it uses XLA, each chosen by device and given with the reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tensorflow as tf

# With either of these, oneDNN multiplies in bfloat16; without them, it converts back and forth.
BFLOAT16_INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16"})


@dataclasses.dataclass(frozen=True)
class Choice:
    """A value, and the reason for it in a few words."""

    value: str
    reason: str


def gpus() -> list[tuple[str, tuple[int, int] | None]]:
    """Name and compute capability of every GPU that TensorFlow sees."""
    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append((details.get("device_name", device.name), details.get("compute_capability")))
    return found


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction sets that Linux lists for the first processor; empty on other systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def choose_precision(requested: str) -> Choice:
    """The Keras dtype policy for ``requested``, which may be "auto"."""
    if requested != "auto":
        return Choice(requested, "as asked")
    found = gpus()
    if not found:
        instructions = sorted(BFLOAT16_INSTRUCTIONS & cpu_flags())
        if instructions:
            return Choice("mixed_bfloat16", f"no GPU, a CPU with {instructions[0]}")
        return Choice("float32", "no GPU, and a CPU without bfloat16")
    name, capability = found[0]
    if capability is not None and capability >= (8, 0):
        return Choice("mixed_bfloat16", f"{name} computes in bfloat16")
    if capability is not None and capability >= (7, 0):
        return Choice("mixed_float16", f"{name} has float16 tensor cores, but no bfloat16")
    return Choice("float32", f"{name} has no tensor cores")


def choose_jit(requested: str, replicas: int = 1) -> Choice:
    """Whether XLA is "on" or "off" for ``requested``, which may be "auto"."""
    if requested != "auto":
        return Choice(requested, "as asked")
    if replicas > 1:
        return Choice("off", f"{replicas} replicas")
    if gpus():
        return Choice("on", "GPU")
    return Choice("off", "no GPU: XLA was measured slower on CPU")
