"""A generator of spatial latents: a rectified flow.

Lipman et al. 2023, "Flow Matching for Generative Modeling"; Liu et al. 2023, "Flow Straight and Fast: Learning to
Generate and Transfer Data with Rectified Flow".
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError
from keras_vae.latents.velocity_field import VelocityField
from keras_vae.layers import Prior, StandardNormal
from keras_vae.layers.prior import normal_cdf


@keras.saving.register_keras_serializable(package="keras_vae")
class LatentFlow(Prior):
    """New latents are ``mean + deviation · x_1`` with ``dx/dt = v(x, t[, label])`` from ``x_0 ~ N(0, I)``.

    `fitting_loss` trains v on the latents of a finished autoencoder. N(0, I) remains what KL and ELBO refer to: the
    encoder was trained against it, and a flow's density would take many evaluations of v.

    A conditional flow learns with and without labels, and draws with classifier-free guidance (Ho & Salimans 2022).

    Args:
        latent_shape: (h, w, c) of a spatial latent.
        widths, num_layers, num_heads, num_classes: as for `VelocityField`.
        steps: steps of a draw, by Heun's method, which evaluates v twice a step.
        guidance: w in ``v(x, t) + w · (v(x, t, label) - v(x, t))``; 1 draws from the labels' own distribution.
        label_dropout: share of the labels that training leaves out, for the unconditional v.

    Raises:
        InputError: if the latent is not spatial, or ``steps`` is below 1.
    """

    def __init__(
        self,
        latent_shape: tuple[int, ...],
        widths: tuple[int, ...] = (96,),
        num_layers: int = 2,
        num_heads: int = 4,
        num_classes: int | None = None,
        *,
        steps: int = 16,
        guidance: float = 1.5,
        label_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_shape, **kwargs)
        if len(self.latent_shape) != 3:
            raise InputError(f"a latent flow is for spatial latents (h, w, c), got a vector of {self.latent_shape[0]}")
        if steps < 1:
            raise InputError(f"steps must be at least 1, got {steps}")
        height, width, channels = self.latent_shape
        self.num_classes = num_classes
        self.field = VelocityField(
            (height, width, channels),
            widths,
            num_layers=num_layers,
            num_heads=num_heads,
            num_classes=num_classes,
            name="field",
        )
        self.steps = steps
        self.guidance = guidance
        self.label_dropout = label_dropout
        with keras.name_scope(self.name):
            self.field.build((None, *self.latent_shape))
        self.mean = self.add_weight((channels,), "zeros", trainable=False, autocast=False, name="mean")
        self.deviation = self.add_weight((channels,), "ones", trainable=False, autocast=False, name="deviation")
        self._normal = StandardNormal(self.latent_shape, name="normal")

    def log_prob(self, z: Any) -> Any:
        """``log N(z; 0, I)``: see the class."""
        return self._normal.log_prob(z)

    def kl(self, mean: Any, log_var: Any, z: Any = None) -> Any:
        """The KL to N(0, I): see the class."""
        return self._normal.kl(mean, log_var)

    def start_from(self, images: Any, z: Any) -> None:
        """Take mean and deviation of each channel from latents z (N, *latent_shape) or (N, h·w·c)."""
        channels = ops.reshape(ops.convert_to_tensor(z, "float32"), (-1, self.latent_shape[-1]))
        self.mean.assign(ops.mean(channels, axis=0))
        self.deviation.assign(ops.maximum(ops.std(channels, axis=0), 1e-3))

    def fitting_loss(self, z: Any, labels: Any = None, seed: Any = None) -> Any:
        """The matching loss ``‖v(x_t, t[, label]) - (x_1 - x_0)‖²`` of latents z (N, *latent_shape): a float32 scalar.

        It is the mean over all numbers.

        ``x_t = (1 - t) x_0 + t x_1``, with t from a logit-normal distribution, which spends more on the middle (Esser
        et al. 2024, "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", section 3.1).
        """
        target = (ops.convert_to_tensor(z, "float32") - self.mean) / self.deviation
        count, size = ops.shape(target)[0], math.prod(self.latent_shape)
        # In one draw, since draws with the same seed would depend on each other.
        normal = keras.random.normal((count, size + 2), seed=seed)
        noise = ops.reshape(normal[:, :size], (-1, *self.latent_shape))
        t = ops.sigmoid(normal[:, size])
        share = t[:, None, None, None]
        if self.num_classes is not None:
            uniform = normal_cdf(normal[:, size + 1])
            labels = ops.where(uniform < self.label_dropout, self.num_classes, ops.cast(labels, "int32"))
        velocity = self.field((1.0 - share) * noise + share * target, t, labels)
        return ops.mean(ops.square(velocity - (target - noise)))

    def velocity(self, x: Any, t: Any, labels: Any = None) -> Any:
        """The velocity (N, *latent_shape) that draws follow, at x (N, *latent_shape) and the scalar t."""
        t = ops.broadcast_to(t, ops.shape(x)[:1])
        if self.num_classes is None:
            return self.field(x, t)
        none = ops.full_like(t, self.num_classes, dtype="int32")
        if labels is None:
            return self.field(x, t, none)
        with_label = self.field(x, t, ops.cast(labels, "int32"))
        if self.guidance == 1:
            return with_label
        without = self.field(x, t, none)
        return without + self.guidance * (with_label - without)

    def draw(self, noise: Any, labels: Any = None) -> Any:
        """The draws, float32 (N, *latent_shape), that noise from N(0, I) of the same shape flows to.

        A conditional flow takes labels, int32 (N,), ``num_classes`` for none; without them it draws of all classes.
        """

        def step(index: Any, x: Any) -> Any:
            t = ops.cast(index, "float32") / self.steps
            first = self.velocity(x, t, labels)
            second = self.velocity(x + first / self.steps, t + 1.0 / self.steps, labels)
            return x + 0.5 * (first + second) / self.steps

        return self.mean + self.deviation * ops.fori_loop(0, self.steps, step, noise)

    def get_config(self) -> dict[str, Any]:
        field = {name: getattr(self.field, name) for name in ("widths", "num_layers", "num_heads")}
        own = {name: getattr(self, name) for name in ("num_classes", "steps", "guidance", "label_dropout")}
        return {**super().get_config(), **field, **own}
