"""The two halves of the evidence lower bound, per image and in nats: ``elbo = -(nll + kl)``.

Kingma & Welling 2014, "Auto-Encoding Variational Bayes". Everything is computed in float32 under every policy. Images
are (N, H, W, C), floats in [0, 1] or uint8, and any others are refused with an InputError.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.image_input import image_pair
from keras_vae.layers.prior import LOG_TWO_PI, kl_per_dimension
from keras_vae.losses.base import ImageLoss

Tensor = Any  # a tensor of whichever Keras backend runs

VARIANCE_FLOOR = math.exp(-12.0)  # Rybkin et al. 2021 keep log σ above -6
SCALE_FLOOR = math.exp(-6.0)  # the same for a Laplace distribution
PROBABILITY_FLOOR = 1e-6
HALF_LEVEL = 0.5 / 255  # half the distance between two of 256 grey levels


def free_bits_kl(mean: Tensor, log_var: Tensor, free_bits: float) -> Tensor:
    """KL that does not push any latent dimension below ``free_bits`` nats: ``Σ_j max(free_bits, mean_n KL_nj)``.

    The maximum applies to the batch mean, so the result is one number for the batch: shape (), nats per image. With
    ``free_bits=0`` it is the mean of `kl_divergence`.

    Raises:
        InputError: when ``free_bits`` is negative.

    Reference: Kingma et al. 2016, "Improving Variational Inference with Inverse Autoregressive Flow",
        appendix C.8.
    """
    if free_bits < 0:
        raise InputError(f"free_bits must be at least 0 nats, got {free_bits}")
    return ops.sum(ops.maximum(ops.mean(kl_per_dimension(mean, log_var), axis=0), free_bits))


def likelihood_error(likelihood: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The mean error that determines a batch's best scale: absolute for "laplace", else squared. (), float32."""
    y_true, y_pred = _pixels(likelihood, y_true, y_pred)
    difference = y_true - y_pred
    return ops.mean(ops.abs(difference) if likelihood == "laplace" else ops.square(difference))


def scale_for_error(likelihood: str, error: Tensor) -> Tensor:
    """The scale for `likelihood_nll` that fits images with that `likelihood_error`. (), float32.

    It is the most likely scale. For "discretized_logistic", where that has no closed form, it is the scale whose
    variance, ``(π s)² / 3``, equals the error.
    """
    if likelihood == "discretized_logistic":
        return ops.maximum(ops.sqrt(3.0 * error) / math.pi, SCALE_FLOOR)
    if likelihood == "laplace":
        return ops.maximum(error, SCALE_FLOOR)
    return ops.sqrt(ops.maximum(error, VARIANCE_FLOOR))


def calibrated_variance(y_true: Tensor, y_pred: Tensor, floor: float = VARIANCE_FLOOR) -> Tensor:
    """The Gaussian variance under which a batch is most likely: its mean squared error, at least ``floor``.

    Shape (), float32. The gradient flows through it, as in the paper; at the optimum its contribution to the batch's
    likelihood is zero.

    Reference: Rybkin et al. 2021, "Simple and Effective VAE Training with Calibrated Decoders" (σ-VAE), eq.
        6.
    """
    return ops.maximum(likelihood_error("gaussian", y_true, y_pred), floor)


def calibrated_scale(y_true: Tensor, y_pred: Tensor, floor: float = SCALE_FLOOR) -> Tensor:
    """The Laplace scale under which a batch is most likely: its mean absolute error, at least ``floor``.

    Shape (), float32; the gradient flows through it as through `calibrated_variance`.
    """
    return ops.maximum(likelihood_error("laplace", y_true, y_pred), floor)


def matched_logistic_scale(y_true: Tensor, y_pred: Tensor, floor: float = SCALE_FLOOR) -> Tensor:
    """The scale of a logistic distribution whose variance, ``(π s)² / 3``, is the batch's mean squared error.

    Shape (), float32, at least ``floor``. No gradient flows through it: unlike the calibrated scales it is not the most
    likely one, which has no closed form.
    """
    error = likelihood_error("discretized_logistic", y_true, y_pred)
    return ops.stop_gradient(ops.maximum(scale_for_error("discretized_logistic", error), floor))


def gaussian_nll(y_true: Tensor, y_pred: Tensor, variance: Tensor | float) -> Tensor:
    """-log N(y_true; y_pred, variance), constant included, summed over pixels and channels: (N,) nats.

    ``variance`` is a number, or a tensor that broadcasts to the images; it has to be positive.
    """
    variance = _float32(variance)
    y_true, y_pred = _pixels("gaussian_nll", y_true, y_pred)
    squared_error = ops.square(y_true - y_pred)
    return 0.5 * _sum_per_image(squared_error / variance + ops.log(variance) + LOG_TWO_PI)


def laplace_nll(y_true: Tensor, y_pred: Tensor, scale: Tensor | float) -> Tensor:
    """-log Laplace(y_true; y_pred, scale), constant included, summed over pixels and channels: (N,) nats.

    ``scale`` is a number, or a tensor that broadcasts to the images; it has to be positive.
    """
    scale = _float32(scale)
    y_true, y_pred = _pixels("laplace_nll", y_true, y_pred)
    return _sum_per_image(ops.abs(y_true - y_pred) / scale + ops.log(2.0 * scale))


def bernoulli_nll(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """-log Bernoulli(y_true; y_pred), summed over pixels and channels: (N,) nats.

    ``y_pred`` are probabilities in [0, 1], not logits, clipped to [1e-6, 1 - 1e-6]: no pixel costs more than 13.8 nats,
    and a pixel outside that range gets no gradient. ``y_true`` in {0, 1} gives the likelihood. Grey values in between
    give the cross entropy, which is not normalised over grey values.
    """
    y_true, y_pred = _pixels("bernoulli_nll", y_true, y_pred)
    probability = ops.clip(y_pred, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return -_sum_per_image(y_true * ops.log(probability) + (1.0 - y_true) * ops.log1p(-probability))


def discretized_logistic_nll(y_true: Tensor, y_pred: Tensor, scale: Tensor | float) -> Tensor:
    """-log of the mass of a logistic distribution in the bins of 256 grey levels, summed: (N,) nats.

    The mass is ``F((x + 1/510 - μ)/s) - F((x - 1/510 - μ)/s)`` with the logistic function F; the bins of 0 and 1 extend
    to infinity. It is a proper likelihood of 8-bit images: divided by ``ln 2`` and the number of values, it is in bits
    per dimension.
    ``scale`` is s, a number or a tensor that broadcasts to the images; it has to be positive.

    Reference: Salimans et al. 2017, "PixelCNN++", section 2.1, with one component and the channels independent.
    """
    scale = _float32(scale)
    y_true, y_pred = _pixels("discretized_logistic_nll", y_true, y_pred)
    distance = y_true - y_pred
    above, below = (distance + HALF_LEVEL) / scale, (distance - HALF_LEVEL) / scale
    # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)), which is accurate when both are near 0 or 1.
    log_up_to, log_from = -ops.softplus(-above), -ops.softplus(below)
    log_bin = log_up_to + log_from + ops.log(-ops.expm1(-2.0 * HALF_LEVEL / scale))
    black, white = y_true < HALF_LEVEL, y_true > 1.0 - HALF_LEVEL
    return -_sum_per_image(ops.where(black, log_up_to, ops.where(white, log_from, log_bin)))


def likelihood_nll(likelihood: str, y_true: Tensor, y_pred: Tensor, scale: Tensor | float) -> Tensor:
    """``-log p(y_true | z)`` under the distribution named ``likelihood``: (N,) nats, float32.

    ``scale`` is σ of "gaussian", b of "laplace" or s of "discretized_logistic"; "bernoulli" has none.
    """
    if likelihood == "discretized_logistic":
        return discretized_logistic_nll(y_true, y_pred, scale)
    if likelihood == "bernoulli":
        return bernoulli_nll(y_true, y_pred)
    if likelihood == "laplace":
        return laplace_nll(y_true, y_pred, scale)
    return gaussian_nll(y_true, y_pred, ops.square(scale))


@keras.saving.register_keras_serializable(package="keras_vae")
class GaussianNLL(ImageLoss):
    """`gaussian_nll` as a Keras loss: (N, H, W, C) images to (N,) nats per image.

    Args:
        variance: a positive number, or "calibrated" for the batch's own (`calibrated_variance`), as in the σ-VAE.
        floor: least calibrated variance; unused with a fixed one. Default e⁻¹².
        reduction: how Keras reduces over images. Default "sum_over_batch_size", their mean.
        name: name of the loss.

    Raises:
        InputError: when ``variance`` is another word, or not positive.
    """

    def __init__(
        self,
        variance: float | str = "calibrated",
        floor: float = VARIANCE_FLOOR,
        reduction: str | None = "sum_over_batch_size",
        name: str = "gaussian_nll",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        _check_spread("variance", variance)
        _check_positive("floor", floor)
        self.variance = variance
        self.floor = floor

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if isinstance(self.variance, str):
            return gaussian_nll(y_true, y_pred, calibrated_variance(y_true, y_pred, self.floor))
        return gaussian_nll(y_true, y_pred, self.variance)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "variance": self.variance, "floor": self.floor}


@keras.saving.register_keras_serializable(package="keras_vae")
class LaplaceNLL(ImageLoss):
    """`laplace_nll` as a Keras loss: (N, H, W, C) images to (N,) nats per image.

    Args:
        scale: a positive number b, or "calibrated" for the batch's own (`calibrated_scale`).
        floor: least calibrated scale; unused with a fixed one. Default e⁻⁶.
        reduction: how Keras reduces over images. Default "sum_over_batch_size", their mean.
        name: name of the loss.

    Raises:
        InputError: when ``scale`` is another word, or not positive.
    """

    def __init__(
        self,
        scale: float | str = "calibrated",
        floor: float = SCALE_FLOOR,
        reduction: str | None = "sum_over_batch_size",
        name: str = "laplace_nll",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        _check_spread("scale", scale)
        _check_positive("floor", floor)
        self.scale = scale
        self.floor = floor

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if isinstance(self.scale, str):
            return laplace_nll(y_true, y_pred, calibrated_scale(y_true, y_pred, self.floor))
        return laplace_nll(y_true, y_pred, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "floor": self.floor}


@keras.saving.register_keras_serializable(package="keras_vae")
class DiscretizedLogisticNLL(ImageLoss):
    """`discretized_logistic_nll` as a Keras loss: (N, H, W, C) images to (N,) nats per image.

    Args:
        scale: a positive number s, or "calibrated" for the batch's own (`matched_logistic_scale`).
        floor: least calibrated scale; unused with a fixed one. Default e⁻⁶.
        reduction: how Keras reduces over images. Default "sum_over_batch_size", their mean.
        name: name of the loss.

    Raises:
        InputError: when ``scale`` is another word, or not positive.
    """

    def __init__(
        self,
        scale: float | str = "calibrated",
        floor: float = SCALE_FLOOR,
        reduction: str | None = "sum_over_batch_size",
        name: str = "discretized_logistic_nll",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")
        _check_spread("scale", scale)
        _check_positive("floor", floor)
        self.scale = scale
        self.floor = floor

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if isinstance(self.scale, str):
            return discretized_logistic_nll(y_true, y_pred, matched_logistic_scale(y_true, y_pred, self.floor))
        return discretized_logistic_nll(y_true, y_pred, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "floor": self.floor}


@keras.saving.register_keras_serializable(package="keras_vae")
class BernoulliNLL(ImageLoss):
    """`bernoulli_nll` as a Keras loss: (N, H, W, C) probabilities to (N,) nats per image.

    Args:
        reduction: how Keras reduces over images. Default "sum_over_batch_size", their mean.
        name: name of the loss.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "bernoulli_nll") -> None:
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return bernoulli_nll(y_true, y_pred)


def _pixels(owner: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    y_true, y_pred = image_pair(owner, y_true, y_pred)
    return _float32(y_true), _float32(y_pred)


def _float32(values: Tensor) -> Tensor:
    return ops.cast(values, "float32")


def _sum_per_image(values: Tensor) -> Tensor:
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def _check_spread(name: str, value: float | str) -> None:
    if isinstance(value, str):
        if value != "calibrated":
            raise InputError(f'{name} must be a positive number or "calibrated", got "{value}"')
    else:
        _check_positive(name, value)


def _check_positive(name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{name} must be a positive number, got {value}")
