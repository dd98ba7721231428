"""The contract of a detector: what it measures of an image, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from keras_vae.errors import InputError
from keras_vae.losses import VGG16Features

Array = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32] | None


class Detector(keras.layers.Layer):
    """Measures how unlike normal images an image is, and where. Statistics of normal images are its weights.

    A subclass has `measure_names`, `fit`, `measures_of` and `heat_of`, and perhaps `slow_measures_of`. Its `fit` gives
    each statistic to `hold`, after which it is the attribute of that name; `get_config` keeps the shapes, so that a
    ``.keras`` file has all of them.

    Args:
        statistics: name → shape of each statistic, of a detector that was fitted; its values come from a file.
        network: the bundled `VGG16Features` with three taps that it shares with others. By default one of its own.
    """

    measure_names: tuple[str, ...] = ()
    """What `measure` gives. The larger a measure, the more unusual the image."""

    def __init__(
        self,
        statistics: Mapping[str, Sequence[int]] | None = None,
        network: VGG16Features | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.network = network or bundled_network()
        self._statistics: dict[str, tuple[int, ...]] = {}
        for name, shape in (statistics or {}).items():
            self.hold(name, np.zeros(tuple(shape), np.float32))
        self.built = True

    @property
    def statistics(self) -> dict[str, list[int]]:
        """Name → shape of each statistic; empty before `fit`."""
        return {name: list(shape) for name, shape in self._statistics.items()}

    def hold(self, name: str, value: Any) -> None:
        """Make ``value``, an array of numbers, the weight and attribute ``name``."""
        array = np.asarray(value, np.float32)
        weight = self.add_weight(shape=array.shape, initializer="zeros", trainable=False, dtype="float32", name=name)
        weight.assign(array)
        self._statistics[name] = array.shape
        setattr(self, name, weight)

    def fit(self, images: Array, labels: Labels = None) -> None:
        """Take the statistics of normal images, float32 (N, H, W, C) in [0, 1]."""
        raise NotImplementedError

    def measures_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> dict[str, Any]:
        """Name → how unusual each image is, (N,), for each of `measure_names` but those of `slow_measures_of`.

        ``taps`` is `network` of the images. All of it is one graph.
        """
        raise NotImplementedError

    def slow_measures_of(self, images: Array, labels: Labels = None) -> dict[str, Array]:
        """The measures that one graph does not give, such as those that train something; by default none."""
        return {}

    def heat_of(self, images: Any, labels: Any, taps: Sequence[Any]) -> Any:
        """Where images are unusual: (N, H, W), at least 0, float32; ``taps`` is `network` of the images."""
        raise NotImplementedError

    def measure(self, images: Any, labels: Any = None) -> dict[str, Any]:
        """Name → how unusual each of the images (N, H, W, C) is, (N,), for each of `measure_names`.

        Raises:
            InputError: before `fit`.
        """
        self.check_fitted()
        images = ops.convert_to_tensor(images)
        of_graph = self.measures_of(images, labels, self.network(images))
        return of_graph | self.slow_measures_of(ops.convert_to_numpy(images), labels)

    def heat(self, images: Any, labels: Any = None) -> Any:
        """Where the images (N, H, W, C) are unusual: (N, H, W), at least 0, float32.

        Raises:
            InputError: before `fit`.
        """
        self.check_fitted()
        images = ops.convert_to_tensor(images)
        return self.heat_of(images, labels, self.network(images))

    def check_fitted(self) -> None:
        """Check that there are statistics.

        Raises:
            InputError: if there are none.
        """
        if not self._statistics:
            raise InputError(f"{type(self).__name__}: has seen no normal images; call fit first")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"], config["dtype"]
        return {**config, "statistics": self.statistics}


def bundled_network() -> VGG16Features:
    """The part of VGG16 that the package has, which every detector looks through."""
    return VGG16Features("bundled", 3, dtype="float32", name="network")
