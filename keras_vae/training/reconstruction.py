"""Measure a split's images and their reconstructions in one pass of batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.data import Split
from keras_vae.latents.bottleneck import LOG_VAR_MIN
from keras_vae.losses import VGG16Features, lpips_distance
from keras_vae.losses.vgg16 import read_heads
from keras_vae.metrics import InceptionFeatures, mse, psnr, ssim
from keras_vae.metrics.frechet import position_means
from keras_vae.models import VAE
from keras_vae.training.likelihood import nll_per_image
from keras_vae.training.posteriors import tuple_batches

Array = npt.NDArray[np.float32]

PER_IMAGE = ("mse", "psnr", "ssim", "lpips", "nll")


@dataclass(frozen=True)
class ReconstructionFigures:
    """What `measure_reconstructions` measured on N images.

    Args:
        per_image: ``mse psnr ssim lpips`` of the reconstructions through the posterior mean, and ``nll`` (nats) with
            one sampled z: (N,) each.
        means: posterior means (N, latent_dim).
        log_vars: posterior log variances (N, latent_dim).
        labels: int32 (N,), or None.
        features: name of a distance → features of the first M images: ``frechet``, `frechet_features` (M, 256), and
            with an Inception network ``fid``, its features (M, 2048).
        reconstruction_features: the same of their reconstructions.
        kl: the KL of each image, (N,) nats, if the model is not variational; else it follows from the posteriors.
        codes: int32 (N, *code_shape), or None if the model has none.
    """

    per_image: dict[str, Array]
    means: Array
    log_vars: Array
    labels: npt.NDArray[np.int32] | None
    features: dict[str, Array]
    reconstruction_features: dict[str, Array]
    kl: Array | None = None
    codes: npt.NDArray[np.int32] | None = None


def measure_reconstructions(
    vae: VAE,
    split: Split,
    network: VGG16Features,
    *,
    frechet_images: int,
    batch_size: int,
    seed: int,
    inception: InceptionFeatures | None = None,
) -> ReconstructionFigures:
    """Measure all of ``split``. LPIPS and the Fréchet features share one pass of each image through ``network``.

    Args:
        vae: the model; a conditional one needs a split with labels.
        split: the images.
        network: the bundled VGG16.
        frechet_images: M, the number of images whose features are kept.
        batch_size: images at a time; it does not change the draws.
        seed: seed of the draws of z.
        inception: the network of FID, if FID's features are wanted.
    """
    heads = read_heads(network.weights_source, network.taps)
    batches = tuple_batches(split, batch_size)
    images_spec, *labels_spec = batches.element_spec
    noise_spec = tf.TensorSpec((None, vae.latent_dim), tf.float32)

    @tf.function(input_signature=(images_spec, noise_spec, *labels_spec), autograph=False)
    def measure(images: Any, noise: Any, labels: Any = None) -> Any:
        latents: dict[str, Any] = {}
        if vae.variational:
            mean, log_var = vae.encode_flat(images, labels)
        else:
            latents = {**vae.latents(images, labels)}
            mean = tf.reshape(latents["z"], (-1, vae.latent_dim))
            log_var = tf.fill(tf.shape(mean), LOG_VAR_MIN)
        reconstructions = vae.decode(mean, labels)
        sampled = vae.decode(mean + tf.exp(0.5 * log_var) * noise, labels) if vae.variational else reconstructions
        activations, reconstructed = network(images), network(reconstructions)
        figures: dict[str, Any] = {
            **{name: latents[name] for name in ("kl", "codes") if name in latents},
            "mse": mse(images, reconstructions),
            "psnr": psnr(images, reconstructions),
            "ssim": ssim(images, reconstructions),
            "lpips": lpips_distance(activations, reconstructed, heads),
            "nll": nll_per_image(vae, images, sampled),
            "means": mean,
            "log_vars": log_var,
        }
        pictures = (images, position_means(activations[-1])), (reconstructions, position_means(reconstructed[-1]))
        return figures, pictures

    rng = np.random.default_rng(seed)
    measured: list[dict[str, Any]] = []
    of_images: list[dict[str, Array]] = []
    of_reconstructions: list[dict[str, Array]] = []
    seen = 0
    for images, *labels in batches:
        noise = rng.standard_normal((len(images), vae.latent_dim), np.float32)
        found, pictures = measure(images, noise, *labels)
        measured.append({**found, **({"labels": labels[0]} if labels else {})})
        # Each image has 256 numbers or more, so only the features that are needed are kept.
        kept = max(frechet_images - seen, 0)
        for parts, (shown, features) in zip((of_images, of_reconstructions), pictures, strict=True):
            parts.append(features_by_distance(shown[:kept], features[:kept], inception))
        seen += len(images)
    arrays = joined(measured)
    return ReconstructionFigures(
        per_image={name: arrays.pop(name) for name in PER_IMAGE},
        labels=arrays.pop("labels", None),
        features=joined(of_images),
        reconstruction_features=joined(of_reconstructions),
        **arrays,
    )


def features_by_distance(images: Any, features: Any, inception: InceptionFeatures | None) -> dict[str, Array]:
    """Name of a distance → features of images: ``frechet``, the given ones, and with ``inception`` also ``fid``."""
    return {"frechet": np.asarray(features), **({} if inception is None else {"fid": inception(images)})}


def joined(batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Name → the arrays of that name in all batches as one."""
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
