"""How often a checkpoint is written. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keras_vae.errors import InputError

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)(min)?")


@dataclass(frozen=True)
class CheckpointInterval:
    """After how many epochs, and after how many minutes within one.

    Args:
        epochs: a checkpoint at the end of every so many; the last epoch has one in any case.
        minutes: and at the first step, or end of an epoch, so long after the last one.
    """

    epochs: int | None = 1
    minutes: float | None = 10.0

    @classmethod
    def parse(cls, text: str) -> CheckpointInterval:
        """``"5"``: every fifth epoch; ``"30min"``: every half an hour.

        Raises:
            InputError: when it is neither.
        """
        match = _INTERVAL.fullmatch(text.strip())
        if match and match[2] and float(match[1]) > 0:
            return cls(None, float(match[1]))
        if match and not match[2] and match[1].isdecimal() and int(match[1]) > 0:
            return cls(int(match[1]), None)
        raise InputError(
            f"checkpoint-every must be a number of epochs, such as 5, or minutes, such as 30min; got {text!r:.60}"
        )
