"""A run in TensorBoard: scalars of training and test side by side, images, hyperparameters and the configuration."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_vae.callbacks.figures import learning_rates
from keras_vae.callbacks.history import TEST_PREFIX
from keras_vae.callbacks.model_pictures import NOISE_EXPECTED, is_noise_expected
from keras_vae.callbacks.posteriors import EpochPosteriors
from keras_vae.callbacks.run_summaries import configuration_text, hyperparameter_callback
from keras_vae.callbacks.tensorboard_images import SAMPLES, EpochImages
from keras_vae.config import RunConfig
from keras_vae.training.trainer import ADVERSARIAL_PARTS, FEATURE_PARTS, PARTS

# Training curves have a point after so many steps, and one at the end of every epoch.
STEPS_PER_POINT = 50
# Drawing takes at most this share of the time, so some short epochs have no images.
DRAWING_SHARE = 0.05
# With more latent dimensions than this, their curves are left out; the histogram remains.
MOST_DIMENSIONS = 64

# The dashboard has one section for each of these, and sorts them by name: the objective and the reconstruction come
# first. A metric of no group has a section of its own.
GROUPS = {
    "objective": ("loss", "elbo", "nll", "kl", "beta", "perceptual", "adversarial", "feature_adversarial"),
    "reconstruction": ("mse", "psnr", "ssim", "lpips"),
    "training_discriminator": (
        "discriminator",
        "feature_discriminator",
        "real_accuracy",
        "fake_accuracy",
        "adversarial_weight",
    ),
    "training_optimizer": (
        "learning_rate",
        "discriminator_learning_rate",
        "gradient_norm",
        "discriminator_gradient_norm",
        "skipped_steps",
        "images_per_second",
    ),
    "z": ("active_units", "perplexity", "used_codes"),
}
DESCRIPTIONS = {
    "loss": "NLL + beta·KL + weighted perceptual and adversarial parts: what the autoencoder minimises",
    "elbo": "evidence lower bound, -(NLL + KL), nats an image",
    "nll": "-log p(x | z) at one sampled z, nats an image",
    "kl": "KL of the posterior to N(0, I), nats an image",
    "beta": "weight of the KL",
    "perceptual": "LPIPS of the reconstruction through a sampled z, as the step minimises it, before its weight",
    "adversarial": "the autoencoder's side of the adversarial loss, before its weight",
    "feature_adversarial": "the same of the discriminator of VGG16's features, before feature_weight too",
    "mse": "mean squared error over pixels in [0, 1], reconstructed through the posterior mean",
    "psnr": "peak signal-to-noise ratio, dB",
    "ssim": "structural similarity (Wang et al. 2004)",
    "lpips": "LPIPS with VGG16 (Zhang et al. 2018), reconstructed through the posterior mean",
    "discriminator": "the discriminator's loss",
    "feature_discriminator": "the loss of the discriminator of VGG16's features",
    "real_accuracy": "share of patches of real images that the discriminator takes for real",
    "fake_accuracy": "share of patches of reconstructions that the discriminator takes for reconstructions",
    "adversarial_weight": "weight of the adversarial loss: 0 before its start; adaptive if so configured",
    "gradient_norm": "global norm of the autoencoder's gradient, before clipping",
    "discriminator_gradient_norm": "global norm of the discriminator's gradient, before clipping",
    "skipped_steps": "steps left out because a gradient was not finite",
    "images_per_second": "speed of the training steps alone",
    "perplexity": "perplexity of the running use of the codes: as many, used equally often, would say as much",
    "used_codes": "share of the codes that are in use",
    "active_units": "latent dimensions whose posterior mean varies by more than 0.01 over the test images "
    "(Burda et al. 2016)",
}
_TAGS = {name: f"{group}/{name}" for group, names in GROUPS.items() for name in names}
# The means that the steps report, without those that an evaluation measures better, and their names here.
_STEP_METRICS = {name: name for name in (*PARTS, *ADVERSARIAL_PARTS, *FEATURE_PARTS) if name != "mse"} | {
    "lpips": "perceptual"
}
_WRITTEN_BY_STEPS = {*_STEP_METRICS.values(), "skipped_steps", "learning_rate", "discriminator_learning_rate"}


class TensorBoardSummaries(keras.callbacks.Callback):
    """Writes ``<folder>/train`` and ``<folder>/test``; the x axis of every chart is the training step.

    Training scalars are means over the last ``STEPS_PER_POINT`` steps; test scalars and images are written after each
    epoch (images after the first, the last, and others while drawing takes no more than ``DRAWING_SHARE`` of the time),
    the configuration and the hyperparameters when training begins. One writer a folder: TensorBoard follows the newest
    event file of a folder alone.

    Args:
        folder: where both folders go.
        posteriors: of the test images; comes before this callback in the list.
        images: draws an epoch; None writes no images.
        config: of the run, for the text and the hyperparameters; None leaves both out.
        name: of the run, among other runs.
    """

    def __init__(
        self,
        folder: Path,
        posteriors: EpochPosteriors,
        images: EpochImages | None = None,
        config: RunConfig | None = None,
        name: str = "run",
    ) -> None:
        super().__init__()
        self.folder = folder
        self.posteriors = posteriors
        self.images = images
        self.config = config
        self.name = name

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._train, self._test = (tf.summary.create_file_writer(str(self.folder / side)) for side in ("train", "test"))
        if self.config is not None:
            with self._test.as_default():
                tf.summary.text("configuration", configuration_text(self.config), step=0)
            self._hyperparameters = hyperparameter_callback(self._test, self.config, _TAGS, self.name)
            self._hyperparameters.on_train_begin()
        self._flush()
        self._begin = time.perf_counter()
        self._drawing = 0.0  # seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # The first steps of an interrupted epoch have their points already. (Epochs of a user's own fit may begin at
        # any step of the trainer; none of them was interrupted.)
        steps = self.params.get("steps") or 0
        done = int(np.array(self.model.step)) - epoch * steps
        done = done if 0 < done < steps else 0
        self._steps_written = self._last_step = done
        self._totals: dict[str, float] = {}
        if done:
            means = self.model.means_so_far()
            self._totals = {name: value * (1 if name == "skipped_steps" else done) for name, value in means.items()}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # The logs of a step need not have all of its parts.
        if batch + 1 - self._steps_written >= STEPS_PER_POINT:
            self._write_training(batch + 1, self.model.means_so_far())
        self._last_step = batch + 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(np.array(self.model.step))
        logs = logs or {}
        if self._last_step > self._steps_written:
            # By now the trainer's own means are those of the validation.
            stepped = {"lpips": logs["perceptual"]} if "perceptual" in logs else {}
            self._write_training(self._last_step, {**logs, **stepped})
        for name, value in logs.items():
            is_test = name.startswith(TEST_PREFIX)
            if is_test or name not in _WRITTEN_BY_STEPS:
                with (self._test if is_test else self._train).as_default():
                    _write_scalar(name.removeprefix(TEST_PREFIX), value, step)
        with self._test.as_default():
            self._write_latent(step)
            if self.images is not None and self._may_draw(epoch):
                self._write_images(self.images, epoch, step, logs)
        self._flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.config is not None:
            self._hyperparameters.on_train_end()
        for writer in (self._train, self._test):
            writer.close()

    def _write_training(self, steps: int, means: dict[str, Any]) -> None:
        """The means over the steps since the last point, from the ``means`` over the ``steps`` of the epoch so far."""
        step = int(np.array(self.model.step))
        with self._train.as_default():
            for name, value in means.items():
                total = float(value) * (1 if name == "skipped_steps" else steps)
                since = total - self._totals.get(name, 0.0)
                self._totals[name] = total
                if name == "skipped_steps":
                    _write_scalar(name, since, step)
                elif name in _STEP_METRICS:
                    _write_scalar(_STEP_METRICS[name], since / (steps - self._steps_written), step)
            for name, value in learning_rates(self.model).items():
                _write_scalar(name, value, step)
        self._steps_written = steps

    def _may_draw(self, epoch: int) -> bool:
        is_last = epoch + 1 == self.params.get("epochs")
        return is_last or self._drawing <= DRAWING_SHARE * (time.perf_counter() - self._begin)

    def _write_images(self, images: EpochImages, epoch: int, step: int, logs: dict[str, Any]) -> None:
        begin = time.perf_counter()
        for name, picture in images.draw(self.model.inference_vae, epoch, logs).items():
            noise = NOISE_EXPECTED if name == SAMPLES and is_noise_expected(self.model.inference_vae) else None
            tf.summary.image(name, picture[None], step=step, description=noise)
        self._drawing += time.perf_counter() - begin

    def _write_latent(self, step: int) -> None:
        tf.summary.histogram("z/posterior_means", self.posteriors.means, step=step)
        if not self.posteriors.has_kl:
            return  # codes and plain autoencoders have no KL of a dimension
        kl = self.posteriors.kl_per_dimension
        if len(kl) <= MOST_DIMENSIONS:
            digits = len(str(len(kl) - 1))  # names sort as numbers
            for dimension, value in enumerate(kl):
                tf.summary.scalar(f"z_kl_per_dimension/z{dimension:0{digits}}", value, step=step)
        tf.summary.histogram("z/kl_per_dimension", kl, step=step)

    def _flush(self) -> None:
        for writer in (self._train, self._test):
            writer.flush()


def _write_scalar(name: str, value: Any, step: int) -> None:
    tf.summary.scalar(_TAGS.get(name, name), value, step=step, description=DESCRIPTIONS.get(name))
