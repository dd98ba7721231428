"""Metrics of images, as functions and as Keras metrics; distances between sets of images; use of latents and codes."""

from keras_vae.metrics.codes import code_usage, perplexity
from keras_vae.metrics.frechet import frechet_distance, frechet_features
from keras_vae.metrics.inception import InceptionFeatures
from keras_vae.metrics.latent import active_units, knn_accuracy
from keras_vae.metrics.perceptual import LPIPS
from keras_vae.metrics.pixel import MSE, PSNR, mse, psnr
from keras_vae.metrics.structural import SSIM, ssim

__all__ = [
    "LPIPS",
    "MSE",
    "PSNR",
    "SSIM",
    "InceptionFeatures",
    "active_units",
    "code_usage",
    "frechet_distance",
    "frechet_features",
    "knn_accuracy",
    "mse",
    "perplexity",
    "psnr",
    "ssim",
]
