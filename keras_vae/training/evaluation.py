"""Evaluate a model on a data set: reconstructions, likelihood, latent space and samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.data import ImageDataset
from keras_vae.errors import InputError
from keras_vae.layers import StandardNormal
from keras_vae.losses import VGG16Features, kl_per_dimension
from keras_vae.metrics import InceptionFeatures, active_units, code_usage, frechet_distance, knn_accuracy, perplexity
from keras_vae.metrics.frechet import TAPS, position_means
from keras_vae.models import VAE, GaussianMixtureSampler, PriorSampler, Sampler
from keras_vae.models.batches import images_at_a_time
from keras_vae.training.likelihood import importance_sampled_nll
from keras_vae.training.posteriors import TRAINING_POSTERIORS, posterior_draws
from keras_vae.training.reconstruction import (
    ReconstructionFigures,
    features_by_distance,
    joined,
    measure_reconstructions,
)

FRECHET_IMAGES = 5000
# By default, and the number of pixels above which the default is none.
IMPORTANCE_SAMPLES, MOST_PIXELS_SAMPLED = 100, 64 * 64
NEIGHBOURS = 5


def evaluation_report(
    vae: VAE,
    dataset: ImageDataset,
    *,
    batch_size: int | None = None,
    importance_samples: int | None = None,
    importance_images: int = 1000,
    components: int = 10,
    seed: int = 0,
    inception: InceptionFeatures | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure the model and return a report ready for JSON: ``{"settings": {…}, "metrics": {…}}``.

    The settings are the ones used, which may be smaller than requested if the data set has fewer images. The metrics:

    - ``mse psnr ssim lpips``: means over all test images, reconstructed through the posterior mean; LPIPS is the
      bundled version with three taps.
    - ``elbo nll kl``: nats per test image; the NLL uses one draw of z per image.
    - ``kl_per_dimension``: list of means over the test images, in nats; the KL to N(0, 1), whatever the model's prior.
      It is empty for a model of codes, whose ``kl`` is ``-log p(codes)``.
    - ``bits perplexity used_codes``, of a model of codes alone: ``-log2 p(codes)`` of an image, the mean over the test
      images; the perplexity of how often they use each code, in [1, codebook_size]; the share of codes that they use.
    - ``importance_nll``: mean of `importance_sampled_nll` over the first test images, in nats; None if it was left out
      or the model is not variational.
    - ``active_units``: `active_units` of the test images' posterior means; None for a model of codes.
    - ``knn_accuracy``: in [0, 1]; test images classified by the training images nearest to them in latent space; None
      without labels.
    - ``frechet_reconstructions frechet_prior frechet_gmm``: `frechet_distance` from the first test images to their
      reconstructions, to decoded draws from the prior, and to decoded draws from a Gaussian mixture over training
      latents, as many of each.
    - ``fid_reconstructions fid_prior fid_gmm``, only with ``inception``: the FIDs of the same images; the first is also
      called rFID. Published FIDs usually take 50,000 images; fewer make a FID larger.

    Args:
        vae: the model.
        dataset: its test split is measured; the classifier and the mixture are fitted to its training split.
        batch_size: images at a time, by default `images_at_a_time`.
        importance_samples: draws of z per image; 0 leaves importance sampling out. By default 100, or 0 for images of
            more than 64×64 pixels, which would take hours.
        importance_images: test images used for importance sampling, at most.
        components: number of components in the Gaussian mixture.
        seed: seed of all draws.
        inception: the network of FID; the settings then have its file's SHA-256 as ``fid_weights_sha256``.
        say: called with one line about each measurement when it starts.

    Raises:
        InputError: if a number is out of range, a conditional model gets images without labels or with unknown labels,
            there are fewer than two test images, or the model's values are not finite.
    """
    if importance_samples is None:
        is_large = math.prod(vae.image_shape[:2]) > MOST_PIXELS_SAMPLED
        importance_samples = 0 if is_large else IMPORTANCE_SAMPLES
    if importance_samples < 0 or importance_images < 1 or components < 1:
        raise InputError(
            "importance-samples must be at least 0, importance-images and components at least 1, got "
            f"{importance_samples}, {importance_images} and {components}"
        )
    _check_labels(vae, dataset)
    if not getattr(vae.prior, "has_density", True):
        raise InputError(
            f"the prior ({vae.prior.name}) of an exported model can be drawn from, but its density is not known; "
            "measure the run or the .keras file that it was exported from"
        )
    is_sampled = vae.variational and importance_samples > 0
    training_posteriors = min(TRAINING_POSTERIORS, dataset.train.count)
    settings = _Settings(
        batch_size=images_at_a_time(vae.image_shape) if batch_size is None else batch_size,
        importance_samples=importance_samples if is_sampled else 0,
        importance_images=min(importance_images, dataset.test.count) if is_sampled else 0,
        frechet_images=min(FRECHET_IMAGES, dataset.test.count),
        training_posteriors=training_posteriors,
        components=min(components, training_posteriors),
        neighbours=min(NEIGHBOURS, training_posteriors),
        seed=seed,
    )
    used = asdict(settings) | ({} if inception is None else {"fid_weights_sha256": inception.sha256})
    return {"settings": used, "metrics": _measure(vae, dataset, settings, inception, say or (lambda line: None))}


@dataclass(frozen=True)
class _Settings:
    """The settings that `evaluation_report` used."""

    batch_size: int
    importance_samples: int
    importance_images: int
    frechet_images: int
    training_posteriors: int
    components: int
    neighbours: int
    seed: int


def _check_labels(vae: VAE, dataset: ImageDataset) -> None:
    if vae.num_classes is None:
        return
    if not (dataset.train.has_labels and dataset.test.has_labels):
        raise InputError(f"{dataset.name}: has no labels, but the model is conditional on {vae.num_classes} classes")
    if dataset.num_classes is not None and dataset.num_classes > vae.num_classes:
        raise InputError(
            f"{dataset.name}: has {dataset.num_classes} classes, but the model is conditional on {vae.num_classes}"
        )


def _measure(
    vae: VAE,
    dataset: ImageDataset,
    settings: _Settings,
    inception: InceptionFeatures | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    network = VGG16Features("bundled", TAPS, dtype="float32")
    batch_size, seed = settings.batch_size, settings.seed

    say(f"reconstructing {dataset.test.count:,} test images")
    figures = measure_reconstructions(
        vae,
        dataset.test,
        network,
        frechet_images=settings.frechet_images,
        batch_size=batch_size,
        seed=seed,
        inception=inception,
    )
    metrics = _image_and_posterior_metrics(vae, figures, seed)

    metrics["importance_nll"] = None
    if settings.importance_samples:
        say(f"drawing {settings.importance_samples:,} z for each of {settings.importance_images:,} test images")
        images, labels = dataset.test.first(settings.importance_images)
        metrics["importance_nll"] = float(
            importance_sampled_nll(
                vae,
                images,
                settings.importance_samples,
                labels=labels,
                batch_size=batch_size,
                seed=seed,
            ).mean()
        )

    say(f"encoding {settings.training_posteriors:,} training images")
    means, draws, labels = posterior_draws(vae, dataset.train, settings.training_posteriors, batch_size, seed)
    metrics["knn_accuracy"] = None
    if labels is not None and figures.labels is not None:
        metrics["knn_accuracy"] = knn_accuracy(means, labels, figures.means, figures.labels, settings.neighbours)

    decoded = _compiled_decoded(vae, network, is_conditional=figures.labels is not None)
    of_class = _labels_of_draws(vae.bottleneck.num_classes, figures.labels, settings)
    samplers = (PriorSampler(vae.bottleneck, of_class), GaussianMixtureSampler.fit(draws, settings.components, seed))
    for sampler in samplers:
        say(f"decoding {settings.frechet_images:,} draws ({sampler.name})")
        features = _features_of_draws(decoded, sampler, figures.labels, settings, inception)
        metrics |= _distances(sampler.name, figures.features, features)
    return metrics


def _distances(
    name: str, features: Mapping[str, npt.ArrayLike], other_features: Mapping[str, npt.ArrayLike]
) -> dict[str, float]:
    """``{distance}_{name}`` → each distance of two sets of images."""
    return {f"{kind}_{name}": frechet_distance(features[kind], other_features[kind]) for kind in features}


def _labels_of_draws(
    num_classes: int | None, labels: npt.NDArray[np.int32] | None, settings: _Settings
) -> npt.NDArray[np.int32] | None:
    """The test images' labels for draws of a conditional prior; an unknown one becomes its label for none."""
    if num_classes is None or labels is None:
        return None
    labels = labels[: settings.frechet_images]
    return np.where((labels >= 0) & (labels < num_classes), labels, num_classes).astype(np.int32)


def _image_and_posterior_metrics(vae: VAE, figures: ReconstructionFigures, seed: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {name: float(values.mean(dtype="float64")) for name, values in figures.per_image.items()}
    metrics |= _kl_metrics(vae, figures, seed)
    if figures.codes is not None:
        counts = np.bincount(figures.codes.ravel(), minlength=vae.bottleneck.codebook_size)
        bits = metrics["kl"] / math.log(2)
        metrics |= {"bits": bits, "perplexity": perplexity(counts), "used_codes": code_usage(counts)}
    metrics["elbo"] = -(metrics["nll"] + metrics["kl"])
    if not np.isfinite([metrics["elbo"], metrics["mse"]]).all():
        raise InputError("the model's reconstructions are not finite: it diverged in training")
    metrics["active_units"] = active_units(figures.means) if figures.codes is None else None
    return metrics | _distances("reconstructions", figures.features, figures.reconstruction_features)


def _kl_metrics(vae: VAE, figures: ReconstructionFigures, seed: int) -> dict[str, Any]:
    if figures.kl is not None:
        per_dimension = [] if figures.codes is not None else [0.0] * vae.latent_dim
        return {"kl": float(figures.kl.mean(dtype="float64")), "kl_per_dimension": per_dimension}
    kl_to_normal = np.asarray(kl_per_dimension(figures.means, figures.log_vars)).mean(axis=0, dtype="float64")
    kl = float(kl_to_normal.sum())
    if not isinstance(vae.prior, StandardNormal):
        kl = _kl_to_prior(vae, figures, seed)
    return {"kl": kl, "kl_per_dimension": kl_to_normal.tolist()}


def _kl_to_prior(vae: VAE, figures: ReconstructionFigures, seed: int) -> float:
    """The mean over images of the KL that the model's own prior estimates from one draw of each posterior."""
    noise = np.random.default_rng(seed).standard_normal(figures.means.shape, np.float32)
    draws = figures.means + np.exp(0.5 * figures.log_vars) * noise
    latents = (array.reshape(-1, *vae.latent_shape) for array in (figures.means, figures.log_vars, draws))
    return float(np.asarray(vae.prior.kl(*latents)).mean(dtype="float64"))


def _compiled_decoded(vae: VAE, network: VGG16Features, *, is_conditional: bool) -> Callable[..., Any]:
    """Decoded ``z`` (B, latent_dim), with labels (B,) if the model is conditional, and their `frechet_features`."""
    signature = [tf.TensorSpec((None, vae.latent_dim), tf.float32)]
    signature += [tf.TensorSpec((None,), tf.int32)] if is_conditional else []

    @tf.function(input_signature=signature, autograph=False)
    def decoded(z: Any, labels: Any = None) -> Any:
        images = vae.decode(z, labels)
        return images, position_means(network(images)[-1])

    return decoded


def _features_of_draws(
    decoded: Callable[..., Any],
    sampler: Sampler,
    labels: npt.NDArray[np.int32] | None,
    settings: _Settings,
    inception: InceptionFeatures | None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Features of ``frechet_images`` decoded draws; a conditional model's draws take the test images' labels."""
    drawn: list[npt.NDArray[Any]] = [sampler.sample(settings.frechet_images, settings.seed)]
    drawn += [] if labels is None else [labels[: settings.frechet_images]]
    parts = []
    for start in range(0, settings.frechet_images, settings.batch_size):
        images, features = decoded(*(array[start : start + settings.batch_size] for array in drawn))
        parts.append(features_by_distance(images, features, inception))
    return joined(parts)
