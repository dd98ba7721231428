"""The command line that trains a run again. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from keras_vae.config import PRESETS, RunConfig

# Settings that the data decide, and settings without a command-line option.
_FROM_DATA = {"model.image_shape"}
_WITHOUT_OPTION = {"model.num_classes"}
_OPTIONS = {"discriminator.widths": "--discriminator-widths"}


def training_command(path: Path, config: RunConfig) -> str:
    """The command line that trains the run in ``path`` again: from its preset, or else from its config.json."""
    directory = ["--run-dir", str(path)]
    options = _options(config)
    if options is None:
        return shlex.join(["keras-vae", "train", "--config", str(path / "config.json"), *directory])
    return shlex.join(["keras-vae", "train", *options, *directory])


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """All settings in one dictionary, ``section.setting`` → value."""
    flat: dict[str, Any] = {}
    for name, value in config.as_dict().items():
        flat |= {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _options(config: RunConfig) -> list[str] | None:
    """The options that turn the preset into this run; None if a setting has no option, or a model its own."""
    if config.preset not in PRESETS or config.from_model is not None:
        return None
    before, after = flat_settings(PRESETS[config.preset][1]), flat_settings(config)
    options = ["--preset", config.preset, "--latent", config.model.latent]
    is_said = {"preset", "model.latent_dim", "model.latent_shape", *_FROM_DATA}
    is_said |= {"model.num_classes"} if config.data.conditional else set()
    for name, value in after.items():
        if value == before[name] or name in is_said:
            continue
        if value is None or name in _WITHOUT_OPTION:
            return None
        option = _OPTIONS.get(name, f"--{name.rpartition('.')[2].replace('_', '-')}")
        if isinstance(value, bool):
            options.append(option if value else f"--no-{option[2:]}")
        elif name == "data.augment":
            options += [text for layer in value for text in (option, layer)]
        elif name == "data.image_size":
            options += [option, "x".join(map(str, value))]
        else:
            options += [option, ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return options
