"""Losses: likelihoods and KL in nats, adversarial losses on patch logits, LPIPS."""

from keras_vae.layers.prior import kl_divergence, kl_per_dimension
from keras_vae.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    AdversarialLoss,
    HingeGAN,
    LeastSquaresGAN,
    NonSaturatingGAN,
    get_adversarial_loss,
)
from keras_vae.losses.elbo import (
    BernoulliNLL,
    DiscretizedLogisticNLL,
    GaussianNLL,
    LaplaceNLL,
    bernoulli_nll,
    calibrated_scale,
    calibrated_variance,
    discretized_logistic_nll,
    free_bits_kl,
    gaussian_nll,
    laplace_nll,
    likelihood_error,
    likelihood_nll,
    matched_logistic_scale,
    scale_for_error,
)
from keras_vae.losses.perceptual import LPIPS, lpips_distance, lpips_maps
from keras_vae.losses.vgg16 import VGG16Features

__all__ = [
    "ADVERSARIAL_LOSSES",
    "LPIPS",
    "AdversarialLoss",
    "BernoulliNLL",
    "DiscretizedLogisticNLL",
    "GaussianNLL",
    "HingeGAN",
    "LaplaceNLL",
    "LeastSquaresGAN",
    "NonSaturatingGAN",
    "VGG16Features",
    "bernoulli_nll",
    "calibrated_scale",
    "calibrated_variance",
    "discretized_logistic_nll",
    "free_bits_kl",
    "gaussian_nll",
    "get_adversarial_loss",
    "kl_divergence",
    "kl_per_dimension",
    "laplace_nll",
    "likelihood_error",
    "likelihood_nll",
    "lpips_distance",
    "lpips_maps",
    "matched_logistic_scale",
    "scale_for_error",
]
