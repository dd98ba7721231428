"""Class labels as context of a conditional model."""

from __future__ import annotations

from typing import Any

import keras


def label_tokens(model: keras.Model, labels: Any) -> Any:
    """One token for each of ``labels`` (N,): (N, 1, D), from ``model.label_token``.

    Raises:
        ValueError: when there are no labels.
    """
    if labels is None:
        owner = type(model).__name__
        raise ValueError(f"{owner}: a model of {model.num_classes} classes needs labels (N,), got none")
    return model.label_token(labels)[:, None, :]
