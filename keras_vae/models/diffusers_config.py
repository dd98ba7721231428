"""The config.json of diffusers' AutoencoderKL: what it says about ours, and ours in its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_vae.errors import InputError
from keras_vae.models.kl_architecture import KLArchitecture

CLASS_NAME = "AutoencoderKL"
# The version whose fields are written. diffusers asks for one, and reads files of other versions too.
DIFFUSERS_VERSION = "0.42.0"
_DOWN, _UP, _ACTIVATION = "DownEncoderBlock2D", "UpDecoderBlock2D", "silu"
# What a field means that a file leaves out.
_DEFAULTS: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [64],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
    "shift_factor": None,
    "force_upcast": True,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "mid_block_add_attention": True,
}
_DEFAULT_SAMPLE_SIZE = 32


def architecture_of(config: Any, image_shape: tuple[int, int, int] | None = None, **choices: Any) -> KLArchitecture:
    """What a parsed config.json describes.

    Args:
        config: the JSON object.
        image_shape: (H, W, C); by default a square of the file's ``sample_size``.
        **choices: other fields of `KLArchitecture` than those of the file.

    Raises:
        InputError: if the file is of another class, or a value is not supported; the message names the field.
    """
    if not isinstance(config, Mapping):
        raise InputError(f"expected an object of settings, got {config!r:.60}")
    found = config.get("_class_name")
    if found != CLASS_NAME:
        raise InputError(f"_class_name is {found!r:.60}, and only {CLASS_NAME} is supported")
    # Names with an underscore are notes about the file.
    given = {name: value for name, value in config.items() if not name.startswith("_")}
    fields = {name: given.pop(name, default) for name, default in _DEFAULTS.items()}
    fields["shift_factor"] = fields["shift_factor"] or 0.0
    sample_size = given.pop("sample_size", None) or _DEFAULT_SAMPLE_SIZE
    if image_shape is None:
        sides = sample_size if isinstance(sample_size, list) else [sample_size, sample_size]
        image_shape = (*sides, fields["in_channels"])
    _check_fixed_fields(given, fields["block_out_channels"])
    try:
        return KLArchitecture(image_shape=image_shape, **fields, **choices)
    except InputError as error:
        # The image's shape comes from two fields of the file.
        raise InputError(str(error).replace("image_shape must", "image_shape (from sample_size) must")) from error


def _check_fixed_fields(given: dict[str, Any], widths: Any) -> None:
    """Check the fields of which one value is supported; nothing else may be left in ``given``."""
    levels = len(widths) if isinstance(widths, list) else 0  # the architecture refuses what is no list
    fixed = {"act_fn": _ACTIVATION, "down_block_types": [_DOWN] * levels, "up_block_types": [_UP] * levels}
    for name, wanted in fixed.items():
        value = given.pop(name, wanted)
        if value != wanted and wanted:
            raise InputError(f"{name} is {value!r:.120}, and only {wanted} is supported")
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is {value!r:.60}, and this field is not supported")


def config_of(architecture: KLArchitecture, scaling_factor: Any, shift_factor: Any) -> dict[str, Any]:
    """The JSON object of config.json.

    Args:
        architecture: the model's.
        scaling_factor, shift_factor: the model's weights.
    """
    height, width, _ = architecture.image_shape
    levels = len(architecture.block_out_channels)
    fields = {name: getattr(architecture, name) for name in _DEFAULTS}
    return {
        "_class_name": CLASS_NAME,
        "_diffusers_version": DIFFUSERS_VERSION,
        **fields,
        "scaling_factor": _shortest(scaling_factor),
        "shift_factor": _shortest(shift_factor) or None,
        "sample_size": height if height == width else [height, width],
        "act_fn": _ACTIVATION,
        "down_block_types": [_DOWN] * levels,
        "up_block_types": [_UP] * levels,
        "latents_mean": None,
        "latents_std": None,
    }


def _shortest(value: Any) -> float:
    """The shortest decimal that is this float32 number: 0.18215, not 0.18215000629425049."""
    return float(str(np.float32(value)))
