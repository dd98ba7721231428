"""Parse a Trainer's ``custom_config``: a preset and settings, as in a run's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_vae.config import RunConfig, preset
from keras_vae.errors import InputError

# Settings that TFX or the images decide, and the reason.
_BY_EXAMPLE_GEN = ("dataset", "data_dir", "train_split", "test_split")
_IN_THE_RECORDS = (
    *("image_size", "channels", "fit", "crop", "crop_scale", "test_fraction", "split_seed"),
    *("max_pixels", "bit_depth", "strict", "cache_dir"),
)
_DECIDED_ELSEWHERE = {
    "model__image_shape": "the images determine it",
    **dict.fromkeys(("from_model", "freeze"), "keras-vae train fine-tunes a model, a pipeline trains a new one"),
    **{f"data__{name}": "the pipeline's ExampleGen determines it" for name in _BY_EXAMPLE_GEN},
    **{f"data__{name}": "the records hold finished images" for name in _IN_THE_RECORDS},
}


def run_config(custom_config: Mapping[str, Any] | None, train_steps: int | None) -> RunConfig:
    """The configuration that ``custom_config`` describes: a preset (``mnist`` by default) with changes.

    Settings are nested or dotted: ``{"preset": "mnist", "model": {"latent_dim": 2}, "optimizer.ema": 0.99}``.

    Args:
        custom_config: the Trainer's ``custom_config``.
        train_steps: the Trainer's ``train_steps``. Only if it is None may ``epochs`` be set.

    Raises:
        InputError: if a setting is unknown, out of range or decided elsewhere; the message names it.
    """
    if not isinstance(custom_config, Mapping | None):
        raise InputError(f"custom_config must be a dictionary of settings, got {custom_config!r:.60}")
    changes = _flatten(custom_config or {})
    config = preset(str(changes.pop("preset", RunConfig.preset)))
    reason_for_epochs = "num_steps of train_args decides how long to train"
    decided = _DECIDED_ELSEWHERE | ({"epochs": reason_for_epochs} if train_steps else {})
    for name, reason in decided.items():
        if name in changes:
            raise InputError(f"custom_config: {name.replace('__', '.')} cannot be set here, {reason}; leave it out")
    try:
        return config.replace(**changes)
    except InputError as error:
        raise InputError(f"custom_config: {error}") from error


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the names of `RunConfig.replace`: ``section__field``."""
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            changes |= {f"{key}__{name}": setting for name, setting in value.items()}
        else:
            changes[str(key).replace(".", "__")] = value
    return changes
