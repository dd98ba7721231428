"""How unusual an image is, calibrated on normal images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.config import SCORING_METHODS
from keras_vae.errors import InputError
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time
from keras_vae.models.keras_file import load_keras_file
from keras_vae.scoring.calibration import Calibration, units_of
from keras_vae.scoring.detector import Array, Detector, Labels, bundled_network
from keras_vae.scoring.padim import PaDiM
from keras_vae.scoring.patchcore import PatchCore
from keras_vae.scoring.vae_detector import VAEDetector

Statistics = Mapping[str, Sequence[int]]
Verdicts = npt.NDArray[np.bool_]

_DETECTORS: dict[str, Callable[..., Detector]] = {
    "vae": lambda scorer, **shared: VAEDetector(
        scorer.vae,
        seed=scorer.seed,
        importance_samples=scorer.importance_samples,
        regret_steps=scorer.regret_steps,
        name="vae",
        **shared,
    ),
    "padim": lambda scorer, **shared: PaDiM(seed=scorer.seed, name="padim", **shared),
    "patchcore": lambda scorer, **shared: PatchCore(seed=scorer.seed, name="patchcore", **shared),
}
# Least number of normal images to fit to, of which a quarter sets the units of measures, and of those to calibrate on.
LEAST_NORMAL, LEAST_HELD_OUT = 4, 2
FALSE_ALARMS = 0.01
# Held-out images from which the usual level of heat is measured.
HEATED_IMAGES = 64


@keras.saving.register_keras_serializable(package="keras_vae")
class Scorer(keras.Model):
    """Says of each image which share of normal images is less unusual.

    ``fit`` shows normal images to its detectors and calibrates them on others. Only normal images decide anything.
    A fitted scorer is saved as a ``.keras`` file, which `load_scorer` and Keras load.

    Example:
        ```python
        scorer = Scorer(vae).fit(normal, held_out=fresh)
        scores = scorer.score(images)  # 0.99: more unusual than 99% of normal images
        is_unusual = scorer.verdict(images, false_alarms=0.01)
        ```

    Args:
        vae: a trained model, which "vae" and "auto" use. A conditional one needs labels everywhere.
        method: "vae" (`VAEDetector`), "padim" (`PaDiM`), "patchcore" (`PatchCore`), or "auto": all three.
        seed: seed of their random choices. Default 0.
        false_alarms: the rate of false alarms of verdicts, above 0 and below 1. Default 0.01.
        importance_samples: draws of z for each image, for the measure ``importance_nll``. Default 0: no such measure.
        regret_steps: steps that optimise each image's posterior, for the measure ``likelihood_regret``. Default 0: no
            such measure. An exported model cannot have it.
        statistics: the shapes of each fitted detector's statistics;
        normal: the measures of n held-out normal images, (n, M);
        units: the units of measures, (2, M); and
        heat_levels: the mean heat of such images by each detector: the four of a fitted scorer, from its file.

    Raises:
        InputError: for another method, a rate out of its range, or importance samples or steps that the model or the
            method does not take.
    """

    def __init__(
        self,
        vae: VAE,
        method: str = "auto",
        seed: int = 0,
        false_alarms: float = FALSE_ALARMS,
        importance_samples: int = 0,
        regret_steps: int = 0,
        statistics: Sequence[Statistics] | None = None,
        normal: Any = None,
        units: Any = None,
        heat_levels: Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if method not in SCORING_METHODS:
            raise InputError(f"method must be one of {', '.join(SCORING_METHODS)}, got {method!r}")
        if not 0 < false_alarms < 1:
            raise InputError(f"the rate of false alarms must be between 0 and 1, got {false_alarms:g}")
        for what, count in (("importance samples", importance_samples), ("steps of likelihood regret", regret_steps)):
            if count and method not in ("auto", "vae"):
                raise InputError(f"{what} are taken with the VAE, which the method {method} does not use")
        self.vae, self.method, self.seed, self.false_alarms = vae, method, seed, false_alarms
        self.importance_samples, self.regret_steps = importance_samples, regret_steps
        names = list(_DETECTORS) if method == "auto" else [method]
        shapes: Sequence[Statistics | None] = statistics or [None] * len(names)
        self.network = bundled_network()
        self.detectors = [
            _DETECTORS[name](self, statistics=shape, network=self.network)
            for name, shape in zip(names, shapes, strict=True)
        ]
        self._calibration = None if normal is None else Calibration(np.asarray(normal), units)
        self.heat_levels = tuple(heat_levels)
        self.built = True

    @property
    def measure_names(self) -> tuple[str, ...]:
        """The measures that a score combines, in order."""
        return tuple(name for detector in self.detectors for name in detector.measure_names)

    @property
    def statistic_variables(self) -> list[Any]:
        """The variables in which detectors hold what they know of normal images."""
        return [getattr(detector, name) for detector in self.detectors for name in detector.statistics]

    def fit(
        self,
        normal: npt.NDArray[Any],
        labels: Labels = None,
        *,
        held_out: npt.NDArray[Any] | None = None,
        held_out_labels: Labels = None,
    ) -> Scorer:
        """Take the statistics of normal images, and calibrate on others.

        Args:
            normal: (N, H, W, C), float in [0, 1] or uint8. A quarter of them sets the units of the measures, and the
                detectors see the others.
            labels: int32 (N,), for a conditional model.
            held_out: normal images that neither the VAE nor ``normal`` has, in the same form. By default half of
                ``normal``, drawn at random. That half must not have trained the VAE: it knows its training images,
                and more of fresh ones would be false alarms than were asked for.
            held_out_labels: their labels.

        Raises:
            InputError: if there are too few images, or they do not fit the model.
        """
        normal = self._images(normal)
        if held_out is None:
            order = np.random.default_rng(self.seed).permutation(len(normal))
            rows, others = np.array_split(order, 2)
            held_out, held_out_labels = normal[others], None if labels is None else labels[others]
            normal, labels = normal[rows], None if labels is None else labels[rows]
        held_out = self._images(held_out)
        if len(normal) < LEAST_NORMAL or len(held_out) < LEAST_HELD_OUT:
            raise InputError(
                f"a scorer needs at least {LEAST_NORMAL} normal images and {LEAST_HELD_OUT} held out, "
                f"got {len(normal)} and {len(held_out)}"
            )
        sets_units = np.arange(len(normal)) % 4 == 3
        of_units, of_seen = (None if labels is None else labels[rows] for rows in (sets_units, ~sets_units))
        for detector in self.detectors:
            detector.fit(normal[~sets_units], of_seen)
        self.predict_function = None  # its graph has the statistics of before
        # Both at once, so that one graph is traced.
        some_labels = None if of_units is None or held_out_labels is None else [of_units, held_out_labels]
        together = np.concatenate([normal[sets_units], held_out])
        measured = self.measure(together, None if some_labels is None else np.concatenate(some_labels))
        units, normal_measures = np.split(measured, [sets_units.sum()])
        self._calibration = Calibration(normal_measures, units_of(units))
        some = None if held_out_labels is None else held_out_labels[:HEATED_IMAGES]
        heat = self._heat(held_out[:HEATED_IMAGES], some)
        self.heat_levels = tuple(max(float(found.mean()), 1e-12) for found in heat)
        return self

    @property
    def calibration(self) -> Calibration:
        """The held-out normal images that scores compare with.

        Raises:
            InputError: before `fit`.
        """
        if self._calibration is None:
            raise InputError("this scorer has seen no normal images; call fit first")
        return self._calibration

    def measure(self, images: Any, labels: Labels = None) -> npt.NDArray[np.float64]:
        """How unusual images (N, H, W, C) are by each of `measure_names`: (N, M)."""
        images = self._images(images)
        inputs = images if labels is None else (images, np.asarray(labels, np.int32))
        found = self.predict(inputs, batch_size=images_at_a_time(images.shape[1:3]), verbose=0)
        for detector in self.detectors:
            found |= detector.slow_measures_of(images, labels)
        return np.stack([found[name] for name in self.measure_names], axis=1).astype(np.float64)

    def score(self, images: Any, labels: Labels = None) -> npt.NDArray[np.float64]:
        """The share of held-out normal images that are less unusual, of each image: (N,) in [0, 1)."""
        return self.calibration.scores(self.measure(images, labels))

    def verdict(
        self, images: Any, labels: Labels = None, *, false_alarms: float | None = None
    ) -> npt.NDArray[np.bool_]:
        """Whether each image is more unusual than normal images are but for a share of ``false_alarms``, (N,).

        By default that is the scorer's own rate.

        Raises:
            InputError: if there are too few held-out images for that share, or it is not between 0 and 1.
        """
        return self.score(images, labels) > self.calibration.threshold(
            self.false_alarms if false_alarms is None else false_alarms
        )

    def heatmap(self, images: Any, labels: Labels = None) -> npt.NDArray[np.float64]:
        """Where images (N, H, W, C) are unusual: (N, H, W), at least 0.

        The mean of the detectors' maps, each in units of its mean over held-out normal images.
        """
        _ = self.calibration
        return np.mean(
            [heat / level for heat, level in zip(self._heat(images, labels), self.heat_levels, strict=True)], axis=0
        )

    def _heat(self, images: Any, labels: Labels) -> list[npt.NDArray[np.float64]]:
        """The map of each detector."""
        images = self._images(images)
        size = images_at_a_time(images.shape[1:3])
        found: list[list[Any]] = [[] for _ in self.detectors]
        for start in range(0, len(images), size):
            part = slice(start, start + size)
            some = ops.convert_to_tensor(images[part])
            taps = self.network(some)
            for maps, detector in zip(found, self.detectors, strict=True):
                heat = detector.heat_of(some, None if labels is None else labels[part], taps)
                maps.append(ops.convert_to_numpy(heat))
        return [np.concatenate(maps).astype(np.float64) for maps in found]

    def _images(self, images: Any) -> Array:
        images = np.asarray(images)
        if len(images) == 0:
            raise InputError("there are no images to score")
        if images.ndim != 4 or images.shape[1:] != self.vae.image_shape:
            raise InputError(
                f"the scorer takes images (N, {', '.join(map(str, self.vae.image_shape))}), got {images.shape}"
            )
        return images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)

    def call(self, images: Any, labels: Any = None) -> dict[str, Any]:
        """The measures of a batch of images, or of the pair (images, labels), as tensors, but for slow ones."""
        if isinstance(images, (list, tuple)):  # as Keras's `predict` passes them
            images, labels = images
        taps = self.network(images)
        return {
            name: found
            for detector in self.detectors
            for name, found in detector.measures_of(images, labels, taps).items()
        }

    def on_copy(self, vae: VAE) -> Scorer:
        """The same scorer on a copy of its model, such as one that computes in float32.

        Raises:
            InputError: if the weights are those of another model, or before `fit`.
        """
        own, others = self.vae.get_weights(), vae.get_weights()
        is_copy = len(own) == len(others) and all(map(np.array_equal, own, others))
        if not is_copy or vae.image_shape != self.vae.image_shape:
            raise InputError("the scorer was fitted with another model, or for images of another size")
        calibration = self.calibration
        copy = Scorer(
            vae,
            self.method,
            self.seed,
            self.false_alarms,
            self.importance_samples,
            self.regret_steps,
            [detector.statistics for detector in self.detectors],
            calibration.normal,
            calibration.units,
            self.heat_levels,
        )
        for mine, its in zip(self.statistic_variables, copy.statistic_variables, strict=True):
            its.assign(mine)
        return copy

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vae": keras.saving.serialize_keras_object(self.vae),
            "method": self.method,
            "seed": self.seed,
            "false_alarms": self.false_alarms,
            "importance_samples": self.importance_samples,
            "regret_steps": self.regret_steps,
            "statistics": [detector.statistics for detector in self.detectors],
            "normal": None if self._calibration is None else self._calibration.normal.tolist(),
            "units": None if self._calibration is None else self._calibration.units.tolist(),
            "heat_levels": list(self.heat_levels),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Scorer:
        return cls(**{**config, "vae": keras.saving.deserialize_keras_object(config["vae"], custom_objects)})


def load_scorer(path: Path) -> Scorer:
    """Load the ``.keras`` file of a scorer.

    Raises:
        InputError: when the file is missing, damaged, unsafe or holds something else.
    """
    scorer = load_keras_file(path)
    if not isinstance(scorer, Scorer):
        kind = type(scorer).__name__
        raise InputError(f"{path}: holds a {kind}, not a scorer; write one with keras-vae score --scorer")
    return scorer
