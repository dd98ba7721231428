"""Use a published version like the Keras model that it was exported from."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_vae.errors import InputError
from keras_vae.export.manifest import Manifest, check_manifest
from keras_vae.export.operations import check_operations
from keras_vae.export.saved_model import load_saved_model
from keras_vae.latents import Latents, PointBottleneck
from keras_vae.layers import Prior, StandardNormal
from keras_vae.training.saving import first_line

SIGNATURES = ("serving_default", "encode", "decode", "sample", "serve_tf_examples")


class ExportedVAE:
    """A SavedModel with the methods of `keras_vae.models.VAE`. It needs TensorFlow alone.

    Args:
        model: the result of `tf.saved_model.load`.
        manifest: its manifest.

    Example:
        ```python
        vae = load_exported(Path("exports/mnist-latent2/1763800000"))
        mean, log_var = vae.encode(images)
        ```
    """

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model  # kept, because the signatures do not keep its variables alive
        self.manifest = manifest
        self.image_shape = manifest.image_shape
        self.latent_dim, self.latent_shape = manifest.latent_dim, manifest.latent_shape
        self.num_classes = manifest.num_classes
        self.variational = manifest.variational
        self.likelihood = manifest.likelihood
        self.likelihood_scale = manifest.likelihood_scale
        self.scaling_factor = manifest.scaling_factor
        self.prior: Prior = StandardNormal(self.latent_shape)
        if manifest.prior != "normal":
            self.prior = ExportedPrior(self._model, manifest)
        self.bottleneck = PointBottleneck(self.prior)  # for draws of z

    def encode(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """The posterior's ``(mean, log_var)`` for float32 images in [0, 1], each float32 (N, *latent_shape)."""
        found = self._call("encode", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["mean"], found["log_var"]

    def latents(self, images: Any, labels: Any = None) -> Latents:
        """The posterior mean as z, without a KL, as the bottleneck of a plain autoencoder makes them."""
        made: Latents = self.bottleneck(*self.encode(images, labels))
        return made

    def encode_flat(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """As `encode`, flattened to (N, latent_dim); `decode` takes such vectors too."""
        mean, log_var = (tf.reshape(part, (-1, self.latent_dim)) for part in self.encode(images, labels))
        return mean, log_var

    def decode(self, z: Any, labels: Any = None) -> Any:
        """Decode latents (N, *latent_shape) or (N, latent_dim) to images (N, H, W, C), float32 in [0, 1]."""
        z = tf.reshape(tf.convert_to_tensor(z, tf.float32), (-1, *self.latent_shape))
        return self._call("decode", labels, z=z)["image"]

    def reconstruct(self, images: Any, labels: Any = None) -> Any:
        """Encode, and decode the posterior mean. Deterministic."""
        found = self._call("serving_default", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["reconstruction"]

    def sample(self, count: int, seed: int | None = None, labels: Any = None) -> Any:
        """Decode ``count`` draws from the prior to images (count, H, W, C), the same for the same seed."""
        return self._call("sample", labels, count=tf.constant(count, tf.int32), seed=_two_numbers(seed))["image"]

    def _call(self, signature: str, labels: Any, **inputs: Any) -> dict[str, Any]:
        if self.num_classes is not None:
            if labels is None:
                raise ValueError(f"the model is conditional on {self.num_classes} classes; it needs labels")
            inputs["label"] = tf.convert_to_tensor(labels, tf.int32)
        return self._model.signatures[signature](**inputs)


class ExportedPrior(Prior):
    """A learned prior in a SavedModel, which can be drawn from; its density is not in the file.

    Args:
        model, manifest: as for `ExportedVAE`.
    """

    has_density = False

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(manifest.latent_shape, name=manifest.prior)
        self._signature: Any = model.signatures["sample"]  # the caller keeps the model
        self.num_classes = manifest.num_classes

    def log_prob(self, z: Any) -> Any:
        """Raise InputError."""
        raise InputError(f"an exported model can draw from its prior ({self.name}), but does not hold its density")

    def sample(self, count: int, seed: int | None = None) -> Any:
        label = {} if self.num_classes is None else {"label": tf.zeros(count, tf.int32)}
        return self._signature(count=tf.constant(count, tf.int32), seed=_two_numbers(seed), **label)["z"]


def _two_numbers(seed: int | None) -> Any:
    """What Keras makes of a seed, so that the draws equal those of `VAE.sample`."""
    return tf.constant([secrets.randbits(31) if seed is None else seed, 0], tf.int32)


def load_exported(folder: Path) -> ExportedVAE:
    """Load a published version after checking that it is unchanged.

    A SavedModel is a program, and its manifest is not signed. A graph that accesses files, the network or Python is
    refused; nevertheless load models only from people you trust.

    Raises:
        InputError: if a file is missing, was changed or was added, if the SavedModel does not fit its manifest, or if
            its graph accesses anything outside the model.
    """
    manifest = check_manifest(folder)
    check_operations(folder)
    try:
        model = load_saved_model(folder)
    except Exception as error:  # a damaged SavedModel makes TensorFlow raise anything
        raise InputError(f"{folder}: cannot be loaded ({first_line(error)})") from error
    if not set(SIGNATURES) <= set(model.signatures):
        raise InputError(
            f"{folder}: is not an exported VAE; its signatures are {', '.join(model.signatures) or 'none'}"
        )
    _, inputs = model.signatures["decode"].structured_input_signature
    shapes = [inputs["z"].shape[1:], model.signatures["decode"].structured_outputs["image"].shape[1:]]
    if shapes != [manifest.latent_shape, manifest.image_shape] or ("label" in inputs) != bool(manifest.num_classes):
        raise InputError(f"{folder}: its manifest.json belongs to another model")
    return ExportedVAE(model, manifest)
