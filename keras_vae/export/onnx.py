"""ONNX files of the encoder and the decoder, written by Keras's exporter and checked in ONNX Runtime."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_vae.errors import ExportError
from keras_vae.export.agreement import Agreement, agreement
from keras_vae.export.float32 import answer, in_float32
from keras_vae.export.onnx_packages import check_onnx_packages
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time

# Largest absolute difference allowed between any output and the Keras model's; see `agreement`.
BOUND = 1e-4
# Number of random inputs on which it is measured, or fewer if they are large.
_CASES = 8
# Parameters of a model whose copies do no harm; collecting them would take seconds.
_MOST_COPIED = 10_000_000


def write_onnx(vae: VAE, folder: Path) -> dict[str, Agreement]:
    """Write ``onnx/encoder.onnx`` and ``onnx/decoder.onnx``; returns how far each file is from Keras.

    Inputs and outputs have the names of the SavedModel's ``encode`` and ``decode``, and any batch size. Under a mixed
    policy the files compute in float32, and are compared with a float32 copy of the model.

    Raises:
        InputError: if the packages of the extra ``onnx`` are not installed.
        ExportError: if a file differs by more than `BOUND`.
    """
    check_onnx_packages()
    import onnxruntime  # deferred: it belongs to an extra

    plain = in_float32(vae)
    folder = folder / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    cases = min(_CASES, images_at_a_time(vae.image_shape))
    label_input, label = {}, {}
    if vae.num_classes is not None:
        label_input = {"label": keras.Input((), dtype="int32", name="label")}
        label = {"label": random.integers(vae.num_classes, size=cases, dtype="int32")}
    image = random.random((cases, *vae.image_shape), "float32")
    z = random.standard_normal((cases, *vae.latent_shape), "float32")
    parts = (
        ("encoder", "encode", {"image": keras.Input(vae.image_shape, name="image")}, {"image": image}),
        ("decoder", "decode", {"z": keras.Input(vae.latent_shape, name="z")}, {"z": z}),
    )
    # The larger part first, while less of the memory is taken.
    for name, signature, inputs, _ in reversed(parts):
        _export(plain, signature, {**inputs, **label_input}, folder / f"{name}.onnx")
    agreements = {}
    for name, signature, _, examples in parts:
        path = folder / f"{name}.onnx"
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(None, {**examples, **label}), strict=True))
        expected = answer(plain, signature, {**examples, **label})
        reached = agreement(plain, found, expected, BOUND)
        if not reached.is_enough:
            raise ExportError(
                f"{path.name}: largest difference from the Keras model {reached.difference:.2g}, "
                f"bound {reached.bound:g}"
            )
        agreements[path.name] = reached
    return agreements


def _export(vae: VAE, signature: str, inputs: dict[str, Any], path: Path) -> None:
    """Export one endpoint as a functional model, whose inputs and outputs keep their names."""

    def answered(tensors: dict[str, Any]) -> Any:
        # The Lambda infers its output's shape with floats for all inputs, labels too.
        typed = {key: keras.ops.cast(tensor, inputs[key].dtype) for key, tensor in tensors.items()}
        return answer(vae, signature, typed)

    # A Lambda hides encoder and decoder, because Keras's exporter calls nested models with one input, even those that
    # need a label.
    outputs = keras.layers.Lambda(answered)(inputs)
    collecting = _copies_collected() if vae.count_params() > _MOST_COPIED else nullcontext()
    with warnings.catch_warnings(), collecting:
        warnings.simplefilter("ignore", FutureWarning)  # Keras patches tf2onnx for NumPy 2
        keras.Model(inputs, outputs).export(path, format="onnx", verbose=False, input_signature=[inputs])


@contextmanager
def _copies_collected() -> Iterator[None]:
    """Collect garbage after each pass of tf2onnx's optimizer, until the block ends.

    Before each pass it copies the graph with all weights. The copies are cycles of few objects, which Python leaves
    until it has many: those of a decoder of 0.2 GB took 13 GB.
    """
    from tf2onnx.optimizer.optimizer_base import GraphOptimizerBase  # deferred: it belongs to an extra

    optimize = GraphOptimizerBase.optimize

    def optimize_and_collect(self: Any, graph: Any, iteration: int) -> Any:
        optimized = optimize(self, graph, iteration)
        gc.collect()
        return optimized

    GraphOptimizerBase.optimize = optimize_and_collect
    try:
        yield
    finally:
        GraphOptimizerBase.optimize = optimize
        gc.collect()
