"""How often to write a checkpoint. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keras_vae.errors import InputError

_INTERVAL = re.compile(r"(\d+(?:\.\d+)?)(min)?")


@dataclass(frozen=True)
class CheckpointInterval:
    """The epochs and the minutes between checkpoints.

    Args:
        epochs: write a checkpoint after every this many epochs; the last epoch always has one.
        minutes: also write one at the first step or end of an epoch that is this long after the previous checkpoint.
    """

    epochs: int | None = 1
    minutes: float | None = 10.0

    @classmethod
    def parse(cls, text: str) -> CheckpointInterval:
        """``"5"`` is every fifth epoch, ``"30min"`` every half hour.

        Raises:
            InputError: if ``text`` is neither.
        """
        match = _INTERVAL.fullmatch(text.strip())
        if match and match[2] and float(match[1]) > 0:
            return cls(None, float(match[1]))
        if match and not match[2] and match[1].isdecimal() and int(match[1]) > 0:
            return cls(int(match[1]), None)
        raise InputError(
            f"checkpoint-every must be a number of epochs, such as 5, or minutes, such as 30min; got {text!r:.60}"
        )
