"""Using a published version as if it were the model that it was made of."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_vae.errors import InputError
from keras_vae.export.manifest import Manifest, check_manifest
from keras_vae.export.operations import check_operations
from keras_vae.layers import StandardNormal
from keras_vae.training.saving import first_line

SIGNATURES = ("serving_default", "encode", "decode", "sample", "serve_tf_examples")


class ExportedVAE:
    """A SavedModel with the names of `keras_vae.models.VAE`; TensorFlow alone runs it.

    Args:
        model: what `tf.saved_model.load` gives.
        manifest: what was written of it.

    Example:
        ```python
        vae = load_exported(Path("saved_models/mnist-latent2/1763800000"))
        mean, log_var = vae.encode(images)
        ```
    """

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model  # the signatures do not keep its variables alive
        self.manifest = manifest
        self.image_shape = manifest.image_shape
        self.latent_dim, self.latent_shape = manifest.latent_dim, manifest.latent_shape
        self.num_classes = manifest.num_classes
        self.variational = manifest.variational
        self.likelihood = manifest.likelihood
        self.likelihood_scale = manifest.likelihood_scale
        self.scaling_factor = manifest.scaling_factor
        self.prior = StandardNormal(self.latent_shape)  # of another, nothing is exported

    def encode(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """The posterior's ``(mean, log_var)``, each float32 (N, *latent_shape), of float32 images in [0, 1]."""
        found = self._call("encode", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["mean"], found["log_var"]

    def encode_flat(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """`encode`, each (N, latent_dim) whatever the latent's shape; `decode` takes such vectors too."""
        mean, log_var = (tf.reshape(part, (-1, self.latent_dim)) for part in self.encode(images, labels))
        return mean, log_var

    def decode(self, z: Any, labels: Any = None) -> Any:
        """Images (N, H, W, C), float32 in [0, 1], of latents (N, *latent_shape) or (N, latent_dim)."""
        z = tf.reshape(tf.convert_to_tensor(z, tf.float32), (-1, *self.latent_shape))
        return self._call("decode", labels, z=z)["image"]

    def reconstruct(self, images: Any, labels: Any = None) -> Any:
        """Decode the posterior mean; deterministic."""
        found = self._call("serving_default", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["reconstruction"]

    def sample(self, count: int, seed: int | None = None, labels: Any = None) -> Any:
        """Decode ``count`` draws of the prior N(0, I): images (count, H, W, C), the same for the same seed."""
        # Two numbers, as Keras makes them of a seed: the draws are those of `VAE.sample`.
        seeds = tf.constant([secrets.randbits(31) if seed is None else seed, 0], tf.int32)
        return self._call("sample", labels, count=tf.constant(count, tf.int32), seed=seeds)["image"]

    def _call(self, signature: str, labels: Any, **inputs: Any) -> dict[str, Any]:
        if self.num_classes is not None:
            if labels is None:
                raise ValueError(f"the model is conditional on {self.num_classes} classes; it needs labels")
            inputs["label"] = tf.convert_to_tensor(labels, tf.int32)
        return self._model.signatures[signature](**inputs)


def load_exported(folder: Path) -> ExportedVAE:
    """Load a published version, if it is as it was published.

    A SavedModel is a program, and its manifest is not signed: one whose graph reaches for files, the network or Python
    is refused, but load only what comes from people you trust all the same.

    Raises:
        InputError: when a file is missing, was changed or added, the SavedModel does not fit its manifest, or reaches
            outside of itself.
    """
    manifest = check_manifest(folder)
    check_operations(folder)
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:  # whatever a damaged SavedModel makes TensorFlow raise
        raise InputError(f"{folder}: cannot be loaded ({first_line(error)})") from error
    if not set(SIGNATURES) <= set(model.signatures):
        raise InputError(f"{folder}: is no exported VAE; its signatures are {', '.join(model.signatures) or 'none'}")
    _, inputs = model.signatures["decode"].structured_input_signature
    shapes = [inputs["z"].shape[1:], model.signatures["decode"].structured_outputs["image"].shape[1:]]
    if shapes != [manifest.latent_shape, manifest.image_shape] or ("label" in inputs) != bool(manifest.num_classes):
        raise InputError(f"{folder}: its manifest.json is of another model")
    return ExportedVAE(model, manifest)
