"""Runs that start from a trained model: how they are described, and the model that they train."""

from __future__ import annotations

from typing import Any

import keras

from keras_vae.config import FINE_TUNING, PRIORS, Architecture, RunConfig
from keras_vae.errors import InputError
from keras_vae.latents import prior_name
from keras_vae.latents.choice import described_bottleneck
from keras_vae.models import VAE, AutoencoderKL
from keras_vae.models.copies import copy_of, latent_shape_for, shapes_for


def with_source(config: RunConfig, source: VAE) -> RunConfig:
    """``config`` with the architecture, bottleneck and prior of ``source``; likelihood and scale stay.

    Of an `AutoencoderKL`, which `ModelConfig` does not describe, it has the shapes alone.

    Raises:
        InputError: if ``config`` is for models of another kind, or would train a fitted prior away from its latents.
    """
    name = prior_name(source.prior)
    if config.preset in FINE_TUNING and not isinstance(source, AutoencoderKL):
        raise InputError(f"{config.from_model}: preset {config.preset} is for an AutoencoderKL, which this is not")
    if isinstance(source, AutoencoderKL) and config.preset == RunConfig.preset:
        raise InputError(
            f"{config.from_model}: is an AutoencoderKL, for which the settings of {config.preset} are not made; choose "
            f"--preset {' or '.join(FINE_TUNING)}"
        )
    if config.data.conditional and source.num_classes is None:
        raise InputError(f"{config.from_model}: is not conditional, so leave --conditional out")
    if name in ("latent-flow", "codes") and config.freeze is None:
        raise InputError(
            f"{config.from_model}: its prior {name} was fitted to latents that training would change; keep them with "
            "--freeze encoder, or start from the model before fit-prior"
        )
    architecture: Any = source.decoder.architecture
    if isinstance(architecture, Architecture):
        taken = architecture.as_dict()
    else:
        taken = {"image_shape": source.image_shape, "latent_shape": architecture.latent_shape, "num_classes": None}
    return config.replace(
        **{f"model__{name}": value for name, value in (taken | described_bottleneck(source.bottleneck)).items()},
        model__prior=name if name in PRIORS else "normal",
        model__prior_components=source.prior_components,
        data__conditional=source.num_classes is not None,
    )


def with_images_checked(config: RunConfig, source: VAE) -> RunConfig:
    """``config``, whose images and classes are those of the data, with the latent that ``source`` makes of them.

    Raises:
        InputError: if ``source`` cannot take these images or classes.
    """
    (*sides, channels), classes = config.model.image_shape, config.model.num_classes
    if channels != source.image_shape[-1]:
        raise InputError(
            f"{config.from_model}: takes images with {source.image_shape[-1]} channels, these have {channels}; use "
            f"--channels {source.image_shape[-1]}"
        )
    if classes != source.num_classes:
        raise InputError(f"{config.from_model}: has {source.num_classes or 'no'} classes, the data {classes or 'none'}")
    if source.encoder.is_spatial:
        return config.replace(model__latent_shape=latent_shape_for(source, *sides))
    if config.model.image_shape != source.image_shape:
        height, width, _ = source.image_shape
        raise InputError(
            f"{config.from_model}: takes images of {height}×{width}, these have {sides[0]}×{sides[1]}; use "
            f"--image-size {height}x{width}"
        )
    return config


def started_from(source: VAE, config: RunConfig) -> VAE:
    """A copy of ``source`` to train, in Keras's current precision, for the images and likelihood of ``config``.

    With ``config.freeze`` neither its encoder nor its bottleneck can be trained, so that latents stay as they are.
    """
    model = config.model
    vae = copy_of(
        source,
        **shapes_for(source, *model.image_shape[:2]),
        dtype=keras.config.dtype_policy(),
        # The averaged copy, which a run saves, is not.
        trainable=True,
        likelihood=model.likelihood,
        scale=model.scale,
    )
    if model.scale is not None:
        vae.likelihood_scale.assign(model.scale)
    if config.freeze == "encoder":
        vae.encoder.trainable = vae.bottleneck.trainable = False
    return vae
