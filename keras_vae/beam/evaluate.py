"""Measure the reconstructions of any number of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.ml.inference.base import PredictionResult

from keras_vae.beam import model_handler
from keras_vae.beam.batch import BadImage
from keras_vae.beam.job import Finish, JobOptions, Summary, run_job, say_on_stderr
from keras_vae.beam.sinks import write_summary
from keras_vae.errors import InputError
from keras_vae.export.manifest import Manifest
from keras_vae.losses import VGG16Features, kl_per_dimension, lpips_distance
from keras_vae.losses.vgg16 import read_heads
from keras_vae.metrics import mse, psnr, ssim
from keras_vae.metrics.frechet import TAPS

FIGURES = ("mse", "psnr", "ssim", "lpips")


class Sums(NamedTuple):
    """Sums over images.

    Args:
        images: number of images.
        figures: sum of each of `FIGURES`, float64.
        kl: sum of the KL of each latent dimension, float64 (latent_dim,).
    """

    images: int
    figures: npt.NDArray[np.float64]
    kl: npt.NDArray[np.float64]


class Measure(beam.DoFn):
    """Computes the `Sums` of each batch from results of `model_handler.encode_and_reconstruct`.

    Args:
        variational: whether the model has a KL.
    """

    def __init__(self, variational: bool) -> None:
        self._variational = variational

    def setup(self) -> None:
        """Read the weights of LPIPS and trace the measuring function, once per worker."""
        network = VGG16Features("bundled", TAPS, dtype="float32")
        heads = read_heads(network.weights_source, network.taps)

        @tf.function(reduce_retracing=True)
        def measure(images: tf.Tensor, reconstructions: tf.Tensor) -> list[tf.Tensor]:
            lpips = lpips_distance(network(images), network(reconstructions), heads)
            return [mse(images, reconstructions), psnr(images, reconstructions), ssim(images, reconstructions), lpips]

        self._measure = measure

    def process(self, result: PredictionResult) -> Iterator[Sums]:
        """Measure a batch."""
        found = result.inference
        images = tf.cast(result.example.images, tf.float32) / 255.0
        of_images = self._measure(images, tf.constant(found["reconstruction"]))
        figures = [np.sum(values, dtype=np.float64) for values in of_images]
        kl = np.zeros(found["mean"].shape[1])
        if self._variational:
            kl += np.asarray(kl_per_dimension(found["mean"], found["log_var"]), np.float64).sum(axis=0)
        yield Sums(len(images), np.array(figures), kl)


class Add(beam.CombineFn):
    """The sum of any number of `Sums`."""

    def __init__(self, latent_dim: int) -> None:
        self._latent_dim = latent_dim

    def create_accumulator(self) -> Sums:
        """The sum of nothing."""
        return Sums(0, np.zeros(len(FIGURES)), np.zeros(self._latent_dim))

    def add_input(self, accumulator: Sums, sums: Sums) -> Sums:
        """Add one."""
        figures, kl = accumulator.figures + sums.figures, accumulator.kl + sums.kl
        return Sums(accumulator.images + sums.images, figures, kl)

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        """Add all."""
        total = self.create_accumulator()
        for accumulator in accumulators:
            total = self.add_input(total, accumulator)
        return total

    def extract_output(self, accumulator: Sums) -> Sums:
        """The sum itself."""
        return accumulator


class WriteFigures(beam.DoFn):
    """Writes means over all images into the summary.

    Args:
        folder: folder of the job.
        about: further entries of the summary.
        nats: ``-log p(codes)`` of an image, or None if the model has no codes.
    """

    def __init__(self, folder: str, about: Summary, nats: float | None) -> None:
        self._folder, self._about, self._nats = folder, about, nats

    def process(self, start: None, sums: Sums, bad: Iterable[BadImage]) -> None:
        """Write them. ``start``, the only element of the input, carries no information."""
        count = max(sums.images, 1)
        metrics: dict[str, Any] = {
            name: float(total / count) for name, total in zip(FIGURES, sums.figures, strict=True)
        }
        if self._nats is None:
            metrics |= {"kl": float(sums.kl.sum() / count), "kl_per_dimension": (sums.kl / count).tolist()}
        else:
            metrics |= {"kl": self._nats, "kl_per_dimension": [], "bits": self._nats / math.log(2)}
        write_summary(self._folder, {**self._about, "images": sums.images, "metrics": metrics}, bad)


def evaluate_images(options: JobOptions, *, say: Callable[[str], None] = say_on_stderr) -> Summary:
    """Measure reconstructions through the posterior mean, over all images.

    The summary's ``metrics`` are means over images: ``mse psnr ssim lpips``, and the KL to N(0, 1) in nats as ``kl``
    and ``kl_per_dimension``; for a model of codes the KL to its prior and the same as ``bits``.
    They equal those of `keras_vae.training.evaluation.evaluation_report` on the same images.
    That function also measures what needs random draws or all images at once: ELBO, importance sampling, Fréchet
    distances.

    Args:
        options: the job's options.
        say: called with a line about bad images.

    Raises:
        InputError: as in `run_job`, or if the model has codes and another prior than the uniform one.
        BatchJobError: as in `run_job`.
    """
    return run_job(options, model_handler.encode_and_reconstruct, _into_figures, say)


def _into_figures(manifest: Manifest) -> Finish:
    nats = _nats_of_codes(manifest)

    def finish(results: Any, bad: Any, folder: str, about: Summary) -> None:
        sums = (
            results
            | "Measure" >> beam.ParDo(Measure(manifest.variational))
            | "Add" >> beam.CombineGlobally(Add(manifest.latent_dim))
        )
        _ = (
            results.pipeline
            | "Once" >> beam.Create([None])
            | "Figures"
            >> beam.ParDo(WriteFigures(folder, about, nats), beam.pvalue.AsSingleton(sums), beam.pvalue.AsList(bad))
        )

    return finish


def _nats_of_codes(manifest: Manifest) -> float | None:
    if manifest.code_shape is None:
        return None
    if manifest.prior != "uniform":
        raise InputError(f"the density of the prior ({manifest.prior}) of codes is not in the exported model")
    return math.prod(manifest.code_shape) * math.log(manifest.codebook_size or 1)
