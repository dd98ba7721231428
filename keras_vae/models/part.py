"""What a `VAE` asks of its encoder and its decoder: their shapes, and checks of what they are called with."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np
from keras import ops

from keras_vae.errors import InputError
from keras_vae.layers.image_input import check_images, check_is_array, check_shape, described, dtype_of, unit_range
from keras_vae.models.geometry import Geometry
from keras_vae.models.ready import ReadyModel


class Shapes(Protocol):
    """What every architecture says: the images, the latent and the labels. `keras_vae.config.Architecture` explains."""

    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    @property
    def latent_dim(self) -> int: ...

    @property
    def latent_shape(self) -> tuple[int, int, int] | None: ...

    @property
    def num_classes(self) -> int | None: ...

    def as_dict(self) -> dict[str, Any]: ...


class Part(ReadyModel):
    """Base of encoders and decoders. A subclass sets ``architecture`` in its constructor and takes its fields."""

    architecture: Any

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.architecture.image_shape

    @property
    def latent_dim(self) -> int:
        """Size of the latent vector; for a spatial latent the product of its sides."""
        return self.architecture.latent_dim

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(latent_dim,), or (h, w, c) of a spatial latent."""
        return self.architecture.latent_shape or (self.architecture.latent_dim,)

    @property
    def num_classes(self) -> int | None:
        """Number of labels of a conditional model, else None."""
        return self.architecture.num_classes

    @property
    def is_spatial(self) -> bool:
        """Whether the latent is a feature map."""
        return self.architecture.latent_shape is not None

    @property
    def levels(self) -> list[keras.layers.Layer]:
        """The blocks in the order of computation."""
        raise NotImplementedError

    def geometry_of(self, height: int, width: int) -> Geometry:
        """The geometry of images of that size; with a spatial latent it may differ from the trained one."""
        raise NotImplementedError

    def checked_labels(self, labels: Any, count: int | None) -> Any:
        """Labels for ``count`` images or latents, checked if the model is conditional.

        Raises:
            InputError: when they are missing, or are not class numbers with shape (N,). The range is checked for NumPy
                arrays and lists only: a tensor's values are not known when a step is traced.
        """
        if self.num_classes is None:
            return labels
        owner = type(self).__name__
        if labels is None:
            raise InputError(f"{owner}: a model of {self.num_classes} classes needs labels (N,), got none")
        if isinstance(labels, (list, tuple)):
            labels = np.asarray(labels)
        check_is_array(owner, "labels", labels, "(N,)")
        check_shape(owner, "labels", labels, (count,))
        dtype = dtype_of(labels)
        if "int" not in dtype:
            raise InputError(f"{owner}: labels must be integers, got {dtype}")
        if isinstance(labels, np.ndarray) and len(labels) and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise InputError(
                f"{owner}: labels must be 0 to {self.num_classes - 1}, got {labels.min()} to {labels.max()}"
            )
        return labels

    @property
    def labels_signature(self) -> list[Any]:
        """The labels in ``input_signature``: empty for an unconditional model."""
        return [] if self.num_classes is None else [keras.InputSpec(shape=(None,), dtype="int32", name="labels")]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.architecture.as_dict()}


class TakesImages(Part):
    """Base of encoders: called with images, floats in [0, 1] or uint8, and labels."""

    @property
    def input_signature(self) -> list[Any]:
        images = keras.InputSpec(shape=(None, *self.image_shape), dtype="float32", name="images")
        return [images, *self.labels_signature]

    def checked(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Images as floats in [0, 1], and labels.

        Raises:
            InputError: when either has the wrong shape or dtype; the message names the expected and the given one.
        """
        owner, channels = type(self).__name__, self.image_shape[-1]
        check_images(owner, images, (None, None, channels) if self.is_spatial else self.image_shape)
        return unit_range(images), self.checked_labels(labels, images.shape[0])

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, images: Any, labels: Any = None, *args: Any, **kwargs: Any) -> Any:
        images, labels = self.checked(images, labels)
        return super().__call__(images, labels, *args, **kwargs)


class TakesLatents(Part):
    """Base of decoders: called with latents z, also as vectors where the latent is spatial, and labels."""

    to_image: keras.layers.Layer
    """The last layer, whose ``kernel`` an adaptive weight of the adversarial loss looks at."""

    @property
    def input_signature(self) -> list[Any]:
        z = keras.InputSpec(shape=(None, *self.latent_shape), dtype="float32", name="z")
        return [z, *self.labels_signature]

    def checked(self, z: Any, labels: Any) -> tuple[Any, Any]:
        """Latents as floats, and labels.

        Raises:
            InputError: when either has the wrong shape or dtype; the message names the expected and the given one.
        """
        owner = type(self).__name__
        shapes: list[tuple[int | None, ...]] = [(None, self.latent_dim)]
        if self.is_spatial:
            shapes.append((None, None, None, self.latent_shape[-1]))
        check_is_array(owner, "z", z, " or ".join(map(described, shapes)))
        check_shape(owner, "z", z, *shapes)
        dtype = dtype_of(z)
        if "int" not in dtype and "float" not in dtype:
            raise InputError(f"{owner}: z must be floats, got {dtype}")
        return (ops.cast(z, "float32") if "int" in dtype else z), self.checked_labels(labels, z.shape[0])

    # Checked before Keras takes over, which would wrap an error from call() in lines of its own.
    def __call__(self, z: Any, labels: Any = None, *args: Any, **kwargs: Any) -> Any:
        z, labels = self.checked(z, labels)
        return super().__call__(z, labels, *args, **kwargs)

    def unflattened(self, z: Any) -> Any:
        """Latents (N, latent_dim) as maps (N, *latent_shape) where the latent is spatial."""
        return ops.reshape(z, (-1, *self.latent_shape)) if self.is_spatial and len(z.shape) == 2 else z
