"""Copies of models with the same weights and other settings."""

from __future__ import annotations

from typing import Any, TypeVar

from keras_vae.errors import InputError
from keras_vae.models.vae import VAE

Model = TypeVar("Model", bound=VAE)


def copy_of(vae: Model, **changes: Any) -> Model:
    """A copy with the same weights; ``changes`` replace values of its config, such as ``dtype``."""
    copy: Model = type(vae).from_config({**vae.get_config(), **changes})
    copy.set_weights(vae.get_weights())
    return copy


def shapes_for(vae: VAE, height: int, width: int) -> dict[str, Any]:
    """What to change in a copy for images of another size: ``image_shape``, and ``latent_shape`` if it is an argument.

    Raises:
        InputError: if the latent is a vector, whose model takes one size alone.
    """
    shape = (height, width, vae.image_shape[-1])
    if shape == vae.image_shape:
        return {}
    if not vae.encoder.is_spatial:
        own = "×".join(map(str, vae.image_shape[:2]))
        raise InputError(f"the latent is a vector, so that images must be {own}, got {height}×{width}")
    shapes: dict[str, Any] = {"image_shape": shape}
    if "latent_shape" in vae.get_config():
        shapes["latent_shape"] = latent_shape_for(vae, height, width)
    return shapes


def latent_shape_for(vae: VAE, height: int, width: int) -> tuple[int, int, int]:
    """The shape (h, w, c) of a spatial latent of images of that size."""
    geometry = vae.encoder.geometry_of(height, width)
    return (*geometry.grid(geometry.levels - 1), vae.latent_shape[-1])
