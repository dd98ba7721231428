"""The VampPrior: a mixture of the posteriors of learned images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents.gaussian_mixture import GaussianMixture

# Pseudo-inputs that start from images keep this distance from 0 and 1, where the sigmoid's gradient vanishes.
MARGIN = 0.02


@keras.saving.register_keras_serializable(package="keras_vae")
class VampPrior(GaussianMixture):
    """``p(z) = 1/K Σ_k q(z | u_k)``: a mixture of the posteriors of K trainable images u_k, the pseudo-inputs.

    Each `log_prob` encodes the K pseudo-inputs. The encoder's weights belong to the model that makes the prior, so
    that the prior's config does not hold the encoder; the model's `make_prior` makes both.

    Args:
        latent_shape: (L,).
        encoder: maps images (N, H, W, C) to ``(mean, log_var)`` and has ``image_shape`` and ``num_classes``, as
            `keras_vae.models.Encoder` has.
        components: K.
        images: float32 (N, H, W, C) in [0, 1], of which the first K are the pseudo-inputs at the start, repeated if
            there are fewer; None starts from noise.
        seed: seed of that noise; None draws one from Keras's global seed.

    Raises:
        InputError: if the latent is spatial, or the encoder needs labels.
        ValueError: if ``components`` is below 1.

    Reference: Tomczak & Welling 2018, "VAE with a VampPrior", eq. 9.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        encoder: Any,
        components: int = 64,
        images: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_shape, components, seed, **kwargs)
        if encoder.num_classes is not None:
            raise InputError("VampPrior: its pseudo-inputs have no labels, but the model is conditional on classes")
        # A function, since Keras would track a layer as a part of this one, and save its weights here.
        self._encode: Callable[[Any], tuple[Any, Any]] = lambda images: encoder(images)
        self.pseudo_logits = self.add_table(
            (components, *encoder.image_shape), "pseudo_logits", keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        )
        if images is not None:
            self.use_images(images)

    @property
    def pseudo_inputs(self) -> Any:
        """The images u_k, (K, H, W, C) in (0, 1)."""
        return ops.sigmoid(self.pseudo_logits)

    def use_images(self, images: Any) -> None:
        """Make the first K of ``images``, float32 (N, H, W, C) in [0, 1], the pseudo-inputs, repeated if N < K."""
        images = ops.convert_to_numpy(images)
        chosen = images[np.arange(self.components) % len(images)].clip(MARGIN, 1.0 - MARGIN)
        self.pseudo_logits.assign(np.log(chosen / (1.0 - chosen)))

    def parameters(self) -> tuple[Any, Any, Any]:
        mean, log_var = self._encode(self.pseudo_inputs)
        return ops.full((self.components,), -np.log(self.components), dtype="float32"), mean, log_var

    def start_from(self, images: Any, z: Any) -> None:
        """`use_images`."""
        self.use_images(images)
