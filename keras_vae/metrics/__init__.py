"""How good images are: metrics per image, and their means over images as Keras metrics."""

from keras_vae.metrics.perceptual import LPIPS
from keras_vae.metrics.pixel import MSE, PSNR, mse, psnr
from keras_vae.metrics.structural import SSIM, ssim

__all__ = ["LPIPS", "MSE", "PSNR", "SSIM", "mse", "psnr", "ssim"]
