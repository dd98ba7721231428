"""An `AutoencoderKL` from Keras's format to diffusers' and back, read back and compared before it appears."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_vae.errors import ExportError
from keras_vae.export.float32 import in_float32
from keras_vae.files import folder_written_beside, written_beside
from keras_vae.models import AutoencoderKL
from keras_vae.models.diffusers_folder import check_target
from keras_vae.training.saving import load_model


def write_keras(vae: AutoencoderKL, path: Path) -> float:
    """Write a ``.keras`` file, which replaces another one; returns what `difference_of_copy` finds.

    Raises:
        ExportError: if the file does not hold the same model; nothing is replaced then.
        OSError: if the place cannot be written.
    """
    with written_beside(path) as beside:
        vae.save(beside)
        return difference_of_copy(vae, load_model(beside))


def write_diffusers(vae: AutoencoderKL, folder: Path, *, overwrite: bool = False) -> float:
    """Write a diffusers folder; returns what `difference_of_copy` finds.

    Raises:
        InputError: if something is there that may not be replaced, or as `AutoencoderKL.save_diffusers`.
        ExportError: if the folder does not hold the same model; nothing is replaced then.
        OSError: if the place cannot be written.
    """
    check_target(folder, overwrite=overwrite)
    with folder_written_beside(folder) as beside:
        vae.save_diffusers(beside)
        return difference_of_copy(vae, AutoencoderKL.from_diffusers(beside, vae.image_shape))


def difference_of_copy(vae: AutoencoderKL, copy: object) -> float:
    """The largest absolute difference of both models' pixels, for a random image of a few latents.

    Raises:
        ExportError: if weights of encoder or decoder, or the factors, are not the same bits, or pixels are not finite.
    """
    if not isinstance(copy, AutoencoderKL):
        raise ExportError(f"what was written holds a {type(copy).__name__}; nothing was written")
    for part, other in ((vae.encoder, copy.encoder), (vae.decoder, copy.decoder)):
        for weight, found in zip(part.weights, other.weights, strict=True):
            if not np.array_equal(weight.numpy(), found.numpy()):
                raise ExportError(f"{weight.path} does not come back as it was; nothing was written")
    for name in ("scaling_factor", "shift_factor"):
        if float(getattr(vae, name)) != float(getattr(copy, name)):
            raise ExportError(f"{name} does not come back as it was; nothing was written")
    # In one precision, since a run in bfloat16 rounds what its file in float32 does not.
    vae, copy = in_float32(vae), in_float32(copy)
    side = 4 * vae.encoder.geometry_of(*vae.image_shape[:2]).factor
    images = np.random.default_rng(0).random((1, side, side, vae.image_shape[2]), "float32")
    difference = float(np.abs(np.subtract(vae.reconstruct(images), copy.reconstruct(images))).max())
    if not np.isfinite(difference):
        raise ExportError("the model's pixels are not finite; nothing was written")
    return difference
