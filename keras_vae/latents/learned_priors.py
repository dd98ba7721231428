"""The learned priors by name."""

from __future__ import annotations

from typing import Any

from keras_vae.latents.autoregressive_codes import AutoregressiveCodes
from keras_vae.latents.code_prior import CodePrior, UniformCodes
from keras_vae.latents.flow_prior import FlowPrior
from keras_vae.latents.latent_flow import LatentFlow
from keras_vae.latents.mixture_prior import MixturePrior
from keras_vae.latents.vamp_prior import VampPrior
from keras_vae.latents.vector_prior import VectorPrior
from keras_vae.layers import Prior, StandardNormal

_NAMES = {
    StandardNormal: "normal",
    VampPrior: "vamp",
    MixturePrior: "mixture",
    FlowPrior: "flow",
    LatentFlow: "latent-flow",
    UniformCodes: "uniform",
    AutoregressiveCodes: "codes",
}


def learned_prior(name: str, latent_shape: tuple[int, ...], encoder: Any, components: int) -> VectorPrior | LatentFlow:
    """A new prior.

    Args:
        name: "vamp", "mixture", "flow" or "latent-flow".
        latent_shape: (L,); for "latent-flow" (h, w, c).
        encoder: as for `VampPrior`; a "latent-flow" has its classes.
        components: of "vamp" or "mixture".

    Raises:
        InputError: if the latent has the other shape, or the encoder needs labels and ``name`` is "vamp".
    """
    if name == "latent-flow":
        return LatentFlow(latent_shape, num_classes=encoder.num_classes, name="prior")
    if name == "vamp":
        return VampPrior(latent_shape, encoder, components, name="prior")
    if name == "mixture":
        return MixturePrior(latent_shape, components, name="prior")
    return FlowPrior(latent_shape, name="prior")


def prior_name(prior: Prior | CodePrior) -> str:
    """The name of a prior: "normal", "uniform", or one of `keras_vae.config.FITTED_PRIORS`; else that of its class."""
    return _NAMES.get(type(prior), type(prior).__name__)
