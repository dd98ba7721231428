"""What a run computes in and on: precision and XLA, chosen by device, with the reason."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Choice:
    """A value and, in a few words, why."""

    value: str
    reason: str


def gpus() -> list[tuple[str, tuple[int, int] | None]]:
    """Name and compute capability of every GPU that TensorFlow sees."""
    found = []
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        found.append((details.get("device_name", device.name), details.get("compute_capability")))
    return found


def choose_precision(requested: str) -> Choice:
    """The Keras dtype policy for ``requested``, which may be "auto"."""
    if requested != "auto":
        return Choice(requested, "as asked")
    found = gpus()
    if not found:
        return Choice("float32", "no GPU: mixed_bfloat16 was measured no faster on CPU")
    name, capability = found[0]
    if capability is not None and capability >= (8, 0):
        return Choice("mixed_bfloat16", f"{name} computes in bfloat16")
    if capability is not None and capability >= (7, 0):
        return Choice("mixed_float16", f"{name} has float16 tensor cores, but no bfloat16")
    return Choice("float32", f"{name} has no tensor cores")


def choose_jit(requested: str) -> Choice:
    """ "on" or "off" for ``requested``, which may be "auto"."""
    if requested != "auto":
        return Choice(requested, "as asked")
    if gpus():
        return Choice("on", "GPU")
    return Choice("off", "no GPU: XLA was measured slower on CPU")
