"""LiteRT (TFLite) files of encoder and decoder in float32, float16 and full-integer int8, each compared with Keras."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_vae.errors import ExportError, InputError, first_line
from keras_vae.export.agreement import LARGEST, OTHER_CODES, Agreement, agreement, share_of_other_codes
from keras_vae.export.flatbuffer import float_operators, foreign_operators, slimmed
from keras_vae.export.float32 import answer, float32_copy, in_float32
from keras_vae.models import VAE, AutoencoderKL
from keras_vae.models.batches import images_at_a_time

Array = npt.NDArray[Any]

# What is measured and its bound. fp32 and fp16: in the encoder's mean and log_var or in the decoder's pixels; but where
# rounding turns one code into another, nothing else of an encoder can be compared.
BOUNDS = {
    "fp32": (LARGEST, 1e-4),
    "fp16": (LARGEST, 5e-3),
    "int8": ("mean absolute difference of decoded pixels", 0.02),
}
# Full-integer files of an `AutoencoderKL` missed the bound, since its activations range too far for eight bits. In a
# decoder of Stable Diffusion's size, rounding the weights of 33 convolutions to float16 moved single pixels by 0.0055.
KL_BOUNDS = {"fp32": BOUNDS["fp32"], "fp16": (LARGEST, 0.02), "int8_weights": BOUNDS["int8"]}
# So does the decoder of photos-f4: 0.03 to 0.045 of a pixel on average. Digits on 4×7×7 keep the bound.
SPATIAL_BOUNDS = {**BOUNDS, "int8_weights": BOUNDS["int8"]}
CODE_BOUNDS = {"fp32": (OTHER_CODES, 1e-3), "fp16": (OTHER_CODES, 0.02)}
# How many images calibrate the ranges of activations, and how many measure the differences.
CALIBRATION_IMAGES = 200
TEST_IMAGES = 200


@dataclass(frozen=True)
class TFLiteVariant:
    """One file.

    Args:
        part: "encoder" or "decoder".
        precision: "fp32", "fp16", "int8" or "int8_weights".
        path: path of the file.
        size: size in bytes.
        parameters: number of weights of the part; without overhead ``size / parameters`` is 4 in float32.
        measure: what the difference is.
        difference: difference from the Keras model in float32.
        bound: upper bound on the difference.
    """

    part: str
    precision: str
    path: Path
    size: int
    parameters: int
    measure: str
    difference: float
    bound: float


@dataclass(frozen=True)
class _Part:
    """A part to convert, with the inputs and outputs that measure it.

    Args:
        name: "encoder" or "decoder".
        signature: "encode" or "decode".
        specs: input specifications with batch size 1, by name.
        calibration: inputs by name, each (M, ...).
        test: inputs by name, each (K, ...).
        expected: Keras's outputs for ``test``, by name, each (K, ...).
    """

    name: str
    signature: str
    specs: dict[str, Any]
    calibration: dict[str, Array]
    test: dict[str, Array]
    expected: dict[str, Array]


def write_tflite(
    vae: VAE,
    folder: Path,
    images: Array,
    labels: Array | None = None,
    *,
    float_io: bool = False,
    precisions: Collection[str] | None = None,
) -> list[TFLiteVariant]:
    """Write ``{encoder,decoder}_{fp32,fp16,int8}.tflite`` into ``folder``, and measure each.

    The signatures are ``encode`` (``image`` → ``mean``, ``log_var``) and ``decode`` (``z`` → ``image``), both for one
    image at a time: with a variable batch size, decoding one image took a fifth longer and int8 files were 5 % larger.
    A conditional model also takes ``label``, int32 (1,). The encoder of a model of codes also gives ``codes``, and has
    no int8 file: the nearest of many codes is no matter for eight bits. An `AutoencoderKL`, and a model with a spatial
    latent whose int8 file misses its bound, has ``int8_weights`` in place of ``int8``: int8 kernels, a quarter of the
    file, and float32 between the layers. Such a file is left out if it misses its bound.

    Args:
        vae: the model. Under a mixed policy the files compute in float32, and are compared with a float32 copy.
        folder: created if it is missing.
        images: real images, float32 (N, H, W, C) in [0, 1], N ≥ 2. Every second one calibrates the int8 files (at most
            200), the others measure the differences (at most 200). Of large images, far fewer are used.
        labels: labels int32 (N,) for a conditional model.
        float_io: whether the inputs and outputs of the int8 files are float32. By default they are int8, and the
            caller scales them by each tensor's ``quantization``; the results are the same.
        precisions: which files to write, such as ``("fp16",)``; by default all.

    Raises:
        InputError: if images or labels are missing or have another shape.
        ExportError: if a file exceeds its bound in `BOUNDS`, needs operators that LiteRT does not have, or computes in
            float where it should compute in integers.
    """
    _check(vae, images, labels)
    folder.mkdir(parents=True, exist_ok=True)
    plain = in_float32(vae)
    variants = []
    for part in _parts(plain, images, labels):
        bounds = {
            precision: bound
            for precision, bound in _bounds(plain, part).items()
            if precisions is None or precision in precisions
        }
        with tempfile.TemporaryDirectory() as saved:
            of_floats, of_integers = Path(saved, "plain"), Path(saved, "integer")
            _save_part(plain, part, of_floats)
            if "int8" in bounds:
                _save_part(float32_copy(vae, integer=True), part, of_integers)
            has_int8 = False
            for precision, (measure, bound) in bounds.items():
                if precision == "int8_weights" and has_int8:
                    continue
                path = folder / f"{part.name}_{precision}.tflite"
                source = of_integers if precision == "int8" else of_floats
                model = _convert(source, part, precision, float_io, path.name)
                path.write_bytes(model)
                found = run_file(model, part.signature, part.test)
                # float16 changes each weight by a share of it: a log-variance of -9 by more than a pixel.
                reached = _agreement(plain, part, found, measure, bound, is_relative=precision == "fp16")
                if not reached.is_enough:
                    if "int8_weights" in bounds and precision in ("int8", "int8_weights"):
                        path.unlink()
                        continue
                    raise ExportError(
                        f"{path.name}: {measure} between it and the Keras model {reached.difference:.2g}, "
                        f"bound {reached.bound:g}"
                    )
                parameters = getattr(plain, part.name).count_params()
                size = len(model)
                variants.append(TFLiteVariant(part.name, precision, path, size, parameters, measure, *reached))
                has_int8 = precision == "int8"
    return variants


def _bounds(vae: VAE, part: _Part) -> dict[str, tuple[str, float]]:
    """What is measured of the part and its bound, by precision."""
    if "codes" in part.expected:
        return CODE_BOUNDS
    if isinstance(vae, AutoencoderKL):
        return KL_BOUNDS
    return SPATIAL_BOUNDS if vae.encoder.is_spatial else BOUNDS


def _check(vae: VAE, images: Array, labels: Array | None) -> None:
    if images.dtype != np.float32 or images.shape[1:] != vae.image_shape or len(images) < 2:
        wanted = ", ".join(map(str, vae.image_shape))
        given = f"{images.dtype} {images.shape}"
        raise InputError(f"TFLite files need images float32 (N, {wanted}), N of at least 2, got {given}")
    if vae.num_classes is not None and (labels is None or labels.shape != images.shape[:1]):
        given = "none" if labels is None else f"shape {labels.shape}"
        raise InputError(f"a model of {vae.num_classes} classes needs labels ({len(images)},), got {given}")


def _parts(vae: VAE, images: Array, labels: Array | None) -> tuple[_Part, _Part]:
    """Encoder and decoder, with calibration inputs and test inputs made from the images."""
    labels = None if vae.num_classes is None else labels
    # Of an image of 512×512, a file of a large model takes half a minute.
    most = images_at_a_time(vae.image_shape)
    calibration = _take(images, labels, slice(0, None, 2), min(CALIBRATION_IMAGES, most))
    test = _take(images, labels, slice(1, None, 2), min(TEST_IMAGES, most))
    label_spec = {} if vae.num_classes is None else {"label": tf.TensorSpec((1,), tf.int32, "label")}
    posterior = answer(vae, "encode", test)
    encoder = _Part(
        "encoder",
        "encode",
        {"image": tf.TensorSpec((1, *vae.image_shape), tf.float32, "image"), **label_spec},
        calibration,
        test,
        posterior,
    )
    latents = _with(test, z=posterior["mean"])
    decoder = _Part(
        "decoder",
        "decode",
        {"z": tf.TensorSpec((1, *vae.latent_shape), tf.float32, "z"), **label_spec},
        _latents(vae, calibration),
        latents,
        answer(vae, "decode", latents),
    )
    return encoder, decoder


def _take(images: Array, labels: Array | None, every: slice, limit: int) -> dict[str, Array]:
    taken = {"image": images[every][:limit]}
    return taken if labels is None else {**taken, "label": labels[every][:limit].astype("int32")}


def _with(inputs: dict[str, Array], *, z: Array) -> dict[str, Array]:
    """The decoder's inputs: ``z`` instead of the image."""
    return {"z": z, **{name: value for name, value in inputs.items() if name != "image"}}


def _latents(vae: VAE, inputs: dict[str, Array]) -> dict[str, Array]:
    """Latents as the decoder will see them: draws from the images' posteriors, and as many draws from the prior.

    A plain autoencoder has neither, so these are its codes.
    """
    posterior = answer(vae, "encode", inputs)
    mean = posterior["mean"]
    if not vae.variational:
        return _with(inputs, z=mean)
    noise = np.random.default_rng(0).standard_normal((2, *mean.shape), "float32")
    draws = np.concatenate([mean + np.exp(0.5 * posterior["log_var"]) * noise[0], noise[1]])
    return _with({name: np.concatenate([value, value]) for name, value in inputs.items()}, z=draws)


def _save_part(vae: VAE, part: _Part, folder: Path) -> None:
    variables = (*getattr(vae, part.name).variables, *vae.bottleneck.variables)
    save_signature(part.signature, lambda **inputs: answer(vae, part.signature, inputs), variables, part.specs, folder)


def save_signature(
    signature: str, function: Callable[..., Any], variables: Iterable[Any], specs: dict[str, Any], folder: Path
) -> None:
    """Write a function as a SavedModel with one signature, from which a file is converted."""
    module = tf.Module()
    module.weights = [variable.value for variable in variables]
    traced = tf.function(function, autograph=False).get_concrete_function(**specs)
    # A file has no gradients, and tracing those of the layers takes a third of the time.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures={signature: traced}, options=options)


def _convert(saved_model: Path, part: _Part, precision: str, float_io: bool, file: str) -> bytes:
    """Convert the part to a TFLite model.

    Raises:
        ExportError: as `converted`, or if it needs operators that are not integer.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[part.signature])
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _calibration_inputs(part)
        # One scale per Dense layer. With a scale, a zero point and a bias scale per unit, a decoder of 0.4 M
        # parameters was 20 % larger and no more accurate.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        if not float_io:
            converter.inference_input_type = converter.inference_output_type = tf.int8
    model = converted(converter, part.name, file)
    if precision == "int8" and (floating := float_operators(model)):
        raise ExportError(f"{file}: not full-integer, these operators compute in float: {', '.join(floating)}")
    return model


def converted(converter: Any, what: str, file: str) -> bytes:
    """The TFLite model of a converter; ``what`` and ``file`` name it in messages.

    Raises:
        ExportError: if the conversion fails, or needs operators that are not built in.
    """
    # To write TensorFlow's version and options into the file, Python unpacks and packs all of it.
    converter.exclude_conversion_metadata = True
    try:
        model = slimmed(converter.convert())
    except Exception as error:  # the converter raises its own kinds, and MLIR's diagnostics become any kind
        raise ExportError(f"{file}: TensorFlow cannot convert the {what} ({first_line(error)})") from error
    if foreign := foreign_operators(model):
        raise ExportError(f"{file}: needs operators that are not LiteRT's own: {', '.join(foreign)}")
    return model


def _calibration_inputs(part: _Part) -> Iterator[tuple[str, dict[str, Array]]]:
    for inputs in _one_by_one(part.calibration):
        yield part.signature, inputs


def _one_by_one(inputs: dict[str, Array]) -> Iterator[dict[str, Array]]:
    for index in range(len(next(iter(inputs.values())))):
        yield {name: value[index : index + 1] for name, value in inputs.items()}


def run_file(model: bytes, signature: str, inputs: dict[str, Array]) -> dict[str, Array]:
    """LiteRT's outputs for inputs (K, ...), by name, in float32 (K, ...)."""
    runner = Interpreter(model_content=model).get_signature_runner(signature)
    takes, gives = runner.get_input_details(), runner.get_output_details()
    answers = [
        runner(**{name: _quantized(value, takes[name]) for name, value in row.items()}) for row in _one_by_one(inputs)
    ]
    return {name: np.concatenate([_real(answer[name], gives[name]) for answer in answers]) for name in gives}


def _quantized(value: Array, details: dict[str, Any]) -> Array:
    if details["dtype"] != np.int8:
        return value
    scale, zero_point = details["quantization"]
    return np.clip(np.round(value / scale + zero_point), -128, 127).astype("int8")


def _real(value: Array, details: dict[str, Any]) -> Array:
    if details["dtype"] != np.int8:
        return value
    scale, zero_point = details["quantization"]
    return (value.astype("float32") - zero_point) * scale


def _agreement(
    vae: VAE, part: _Part, found: dict[str, Array], measure: str, bound: float, *, is_relative: bool
) -> Agreement:
    """What is measured. An int8 encoder is judged by Keras's decoding of its means."""
    if measure == LARGEST:
        return agreement(vae, found, part.expected, bound, is_relative=is_relative)
    if measure == OTHER_CODES:
        return Agreement(share_of_other_codes(found, part.expected), bound)
    if part.name == "decoder":
        return Agreement(float(np.abs(found["image"] - part.expected["image"]).mean()), bound)
    images, expected = (
        answer(vae, "decode", _with(part.test, z=posterior["mean"]))["image"] for posterior in (found, part.expected)
    )
    return Agreement(float(np.abs(images - expected).mean()), bound)
