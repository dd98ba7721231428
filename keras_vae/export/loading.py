"""Use a published version like the Keras model that it was exported from."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_vae.errors import InputError, first_line
from keras_vae.export.manifest import Manifest, check_manifest
from keras_vae.export.operations import check_operations
from keras_vae.export.saved_model import load_saved_model
from keras_vae.latents import CodePrior, Latents, PointBottleneck, UniformCodes
from keras_vae.layers import Prior, StandardNormal

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
        self.sample_classes = manifest.num_classes or manifest.prior_classes
        self.variational = manifest.variational
        self.likelihood = manifest.likelihood
        self.likelihood_scale = manifest.likelihood_scale
        self.scaling_factor = manifest.scaling_factor
        is_normal = manifest.prior == "normal"
        draws = StandardNormal(self.latent_shape) if is_normal else ExportedPrior(self._model, manifest)
        self.bottleneck = ExportedBottleneck(draws, manifest)
        self.prior: Prior | CodePrior = draws
        if manifest.code_shape is not None and manifest.prior == "uniform":
            self.prior = UniformCodes(self.bottleneck.codebook_size, manifest.code_shape)

    def encode(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """The posterior's ``(mean, log_var)`` for float32 images in [0, 1], each float32 (N, *latent_shape)."""
        found = self.answer("encode", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["mean"], found["log_var"]

    def latents(self, images: Any, labels: Any = None) -> Latents:
        """The posterior mean as z, without a KL; for a model of codes z, the codes, and ``-log p(codes)`` as the KL.

        Raises:
            InputError: if the model has codes and a prior of which only draws are in the file.
        """
        found = self.answer("encode", labels, image=tf.convert_to_tensor(images, tf.float32))
        if self.bottleneck.code_shape is None:
            return Latents(z=found["mean"], kl=tf.zeros(tf.shape(found["mean"])[0]))
        return Latents(z=found["mean"], codes=found["codes"], kl=-self.prior.log_prob(found["codes"]))

    def encode_codes(self, images: Any, labels: Any = None) -> Any:
        """The codes of images, int32 (N, *code_shape).

        Raises:
            InputError: if the model has none.
        """
        self._check_codes()
        return self.answer("encode", labels, image=tf.convert_to_tensor(images, tf.float32))["codes"]

    def decode_codes(self, codes: Any, labels: Any = None) -> Any:
        """Codes, integers (N, *code_shape), to images (N, H, W, C), float32 in [0, 1].

        Raises:
            InputError: if the model has none, or if they are out of range.
        """
        self._check_codes()
        size, codes = self.bottleneck.codebook_size, np.asarray(codes)
        if codes.size and not 0 <= codes.min() <= codes.max() < size:
            raise InputError(f"codes must be in [0, {size}), got {codes.min()} to {codes.max()}")
        return self.answer("decode_codes", labels, codes=tf.convert_to_tensor(codes, tf.int32))["image"]

    def encode_flat(self, images: Any, labels: Any = None) -> tuple[Any, Any]:
        """As `encode`, flattened to (N, latent_dim); `decode` takes such vectors too."""
        mean, log_var = (tf.reshape(part, (-1, self.latent_dim)) for part in self.encode(images, labels))
        return mean, log_var

    def decode(self, z: Any, labels: Any = None) -> Any:
        """Decode latents (N, *latent_shape) or (N, latent_dim) to images (N, H, W, C), float32 in [0, 1]."""
        z = tf.reshape(tf.convert_to_tensor(z, tf.float32), (-1, *self.latent_shape))
        return self.answer("decode", labels, z=z)["image"]

    def reconstruct(self, images: Any, labels: Any = None) -> Any:
        """Encode, and decode the posterior mean. Deterministic."""
        found = self.answer("serving_default", labels, image=tf.convert_to_tensor(images, tf.float32))
        return found["reconstruction"]

    def sample(self, count: int, seed: int | None = None, labels: Any = None) -> Any:
        """Decode ``count`` draws from the prior to images (count, H, W, C), the same for the same seed.

        Labels (count,) are for a model with ``sample_classes``.
        """
        if self.num_classes is not None and labels is None:
            raise ValueError(f"the model is conditional on {self.num_classes} classes; it needs labels")
        return draws_of(self._model, self.manifest, count, seed, labels)["image"]

    def _check_codes(self) -> None:
        if self.bottleneck.code_shape is None:
            raise InputError("the model has no codes")

    def answer(self, signature: str, labels: Any, **inputs: Any) -> dict[str, Any]:
        """All outputs of a signature by name, for its inputs by name, without the labels."""
        if self.num_classes is not None:
            if labels is None:
                raise ValueError(f"the model is conditional on {self.num_classes} classes; it needs labels")
            inputs["label"] = tf.convert_to_tensor(labels, tf.int32)
        return self._model.signatures[signature](**inputs)


class ExportedBottleneck(PointBottleneck):
    """What is known of an exported model's bottleneck: draws of z, and which codes there are.

    Args:
        draws: what z is drawn from.
        manifest: as for `ExportedVAE`.
    """

    def __init__(self, draws: Prior, manifest: Manifest) -> None:
        super().__init__(draws)
        self._code_shape, self._codebook_size = manifest.code_shape, manifest.codebook_size or 0

    @property
    def code_shape(self) -> tuple[int, ...] | None:
        """The shape of an image's codes; None if the model has none."""
        return self._code_shape

    @property
    def codebook_size(self) -> int:
        """The number of different codes; 0 if the model has none."""
        return self._codebook_size


class ExportedPrior(Prior):
    """A learned prior in a SavedModel, which can be drawn from; its density is not in the file.

    Args:
        model, manifest: as for `ExportedVAE`.
    """

    has_density = False

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(manifest.latent_shape, name=manifest.prior)
        self._model, self._manifest = model, manifest
        self.num_classes = manifest.prior_classes

    def log_prob(self, z: Any) -> Any:
        """Raise InputError."""
        raise InputError(f"an exported model can draw from its prior ({self.name}), but does not hold its density")

    def sample(self, count: int, seed: int | None = None, labels: Any = None) -> Any:
        return draws_of(self._model, self._manifest, count, seed, labels)["z"]


def draws_of(model: Any, manifest: Manifest, count: int, seed: int | None, labels: Any) -> dict[str, Any]:
    """What the signature ``sample`` gives: ``z`` and ``image``, by default without a label of the prior."""
    inputs = {"count": tf.constant(count, tf.int32), "seed": _two_numbers(seed)}
    classes = manifest.num_classes or manifest.prior_classes
    if classes is not None:
        # A prior has one label more, for none. A decoder has not, and to z its label is no matter.
        none = 0 if manifest.prior_classes is None else manifest.prior_classes
        inputs["label"] = tf.fill([count], none) if labels is None else tf.convert_to_tensor(labels, tf.int32)
    return dict(model.signatures["sample"](**inputs))


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
    if manifest.code_shape is not None:
        _check_code_signatures(folder, model, manifest)
    return ExportedVAE(model, manifest)


def _check_code_signatures(folder: Path, model: Any, manifest: Manifest) -> None:
    decode = model.signatures.get("decode_codes")
    codes = decode and decode.structured_input_signature[1].get("codes")
    if codes is None or codes.shape[1:] != manifest.code_shape:
        raise InputError(f"{folder}: its manifest.json belongs to another model")
