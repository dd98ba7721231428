"""Warm-up requests, which TF Serving runs when it loads a version, so that the first client does not wait.

Format: https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from keras_vae.data.tfrecord import tf_example
from keras_vae.errors import ExportError, InputError
from keras_vae.export.float32 import answer
from keras_vae.export.saved_model import load_saved_model
from keras_vae.models import VAE

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")
# A single image and a small batch, smaller for large images: graphs are not specialised to a size, but kernels and
# memory are chosen by it. Two requests per signature stay far below the 1000 records that TF Serving accepts.
BATCH_SIZES = (1, 8)
# Values of a batch: 1 MB of floats. Requests of four images of 256×256 took a quarter of a version's size.
MOST_VALUES = 1 << 18


def write_warmup_requests(
    folder: Path, vae: VAE, *, model_name: str, version: int | None, images: npt.NDArray[np.float32]
) -> int:
    """Write requests for every signature of the SavedModel in ``folder``; returns their number.

    Args:
        folder: folder of the SavedModel; the requests go to ``assets.extra/tf_serving_warmup_requests``.
        vae: the exported model.
        model_name: name of the model in TF Serving.
        version: version that the requests name; None leaves the choice to the server.
        images: float32 (N, H, W, C) in [0, 1], N ≥ 1; the first few are used.

    Raises:
        InputError: if there are no images, or if they have another type or shape.
    """
    if images.dtype != np.float32 or images.shape[1:] != vae.image_shape or not len(images):
        wanted = ", ".join(map(str, vae.image_shape))
        given = f"{images.dtype} {images.shape}"
        raise InputError(f"warm-up needs images float32 (N, {wanted}), N of at least 1, got {given}")
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        most = min(len(images), max(1, MOST_VALUES // math.prod(vae.image_shape)))
        for size in sorted({min(size, most) for size in BATCH_SIZES}):
            for signature, inputs in _inputs(vae, images[:size]).items():
                writer.write(_prediction_log(model_name, version, signature, inputs).SerializeToString())
                written += 1
    return written


def replay_warmup_requests(folder: Path) -> int:
    """Run every request on the SavedModel in ``folder`` as a server would; returns their number.

    Raises:
        ExportError: if a request names a signature or an input that does not exist, or fails.
    """
    signatures = load_saved_model(folder).signatures
    count = 0
    for record in tf.data.TFRecordDataset(str(folder / WARMUP_FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        name = request.model_spec.signature_name
        try:
            _run(signatures, name, {key: tf.make_ndarray(proto) for key, proto in request.inputs.items()})
        except (TypeError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())  # the first line of TensorFlow's message does not say enough
            raise ExportError(f"{WARMUP_FILE}: request {count} ({name}) fails: {reason}") from error
        count += 1
    return count


def _run(signatures: Mapping[str, Any], name: str, inputs: dict[str, npt.NDArray[Any]]) -> None:
    """Call a signature, requiring its exact names, dtypes and shapes, since a server converts nothing."""
    if name not in signatures:
        raise ValueError(f"the signatures are {', '.join(sorted(signatures))}")
    specs = signatures[name].structured_input_signature[1]
    if specs.keys() != inputs.keys():
        raise ValueError(f"takes {', '.join(sorted(specs))}, got {', '.join(sorted(inputs))}")
    for key, value in inputs.items():
        spec = specs[key]
        if tf.as_dtype(value.dtype) != spec.dtype:
            raise ValueError(f"{key} is {spec.dtype.name}, got {value.dtype}")
        if not spec.shape.is_compatible_with(value.shape):
            raise ValueError(f"{key} is of shape {spec.shape}, got {value.shape}")
    signatures[name](**{key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()})


def _inputs(vae: VAE, images: npt.NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    """Inputs for a batch of ``images``, by signature and name; labels cycle through the classes."""
    count = len(images)
    labels = None if vae.num_classes is None else np.arange(count, dtype="int32") % vae.num_classes
    label = {} if labels is None else {"label": labels}
    drawn = {} if vae.sample_classes is None else {"label": np.arange(count, dtype="int32") % vae.sample_classes}
    posterior = answer(vae, "encode", {"image": images, **label})
    codes = {"decode_codes": {"codes": posterior["codes"], **label}} if "codes" in posterior else {}
    return {
        **codes,
        "serving_default": {"image": images, **label},
        "encode": {"image": images, **label},
        "decode": {"z": posterior["mean"], **label},
        "sample": {"count": np.int32(count), "seed": np.zeros(2, "int32"), **drawn},
        "serve_tf_examples": {"examples": list(_examples(images, labels))},
    }


def _examples(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32] | None) -> Iterator[bytes]:
    """A serialised tf.Example per image, with the image as a PNG and its label."""
    for index, png in enumerate(tf.io.encode_png(np.round(255 * images).astype("uint8")).numpy()):
        yield tf_example(png, None if labels is None else labels[index])


def _prediction_log(
    model_name: str, version: int | None, signature: str, inputs: dict[str, Any]
) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
