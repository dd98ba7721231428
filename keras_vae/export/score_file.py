"""The LiteRT (TFLite) file of a scorer: which images are unusual, on a device."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.errors import ExportError
from keras_vae.export.agreement import SCORE, score_agreement
from keras_vae.export.signatures import variables_of
from keras_vae.export.tflite import TFLiteVariant, converted, run_file, save_signature
from keras_vae.scoring import Scorer
from keras_vae.scoring.answers import answers

Array = npt.NDArray[Any]

NAME = "score_fp32.tflite"


def write_score_file(scorer: Scorer, folder: Path, images: Array, labels: Array | None = None) -> TFLiteVariant:
    """Write ``score_fp32.tflite`` into ``folder``, and compare it with the scorer.

    Its signature ``score`` takes one ``image`` (1, H, W, C), and ``label`` int32 (1,) of a conditional model, and gives
    ``score``, ``unusual`` and ``heat_map`` as `answers` does. The threshold is inside.

    Args:
        scorer: fitted; its ``vae`` computes in float32.
        folder: created if it is missing.
        images: what both are compared on, float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,) for a conditional model.

    Raises:
        ExportError: if the file needs operators that LiteRT does not have, or gives other scores.
    """
    vae = scorer.vae
    specs = {"image": tf.TensorSpec((1, *vae.image_shape), tf.float32, "image")}
    inputs = {"image": images}
    if vae.num_classes is not None and labels is not None:
        specs["label"] = tf.TensorSpec((1,), tf.int32, "label")
        inputs["label"] = labels.astype(np.int32)
    variables = variables_of(vae, scorer)
    with tempfile.TemporaryDirectory() as saved:
        save_signature(
            "score", lambda image, label=None: answers(scorer, image, label), variables, specs, Path(saved, "score")
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(saved, "score")), signature_keys=["score"])
        model = converted(converter, "scorer", NAME)
    expected = answers(scorer, tf.constant(images), inputs.get("label"))
    reached = score_agreement(run_file(model, "score", inputs), expected, len(scorer.calibration.normal))
    if not reached.is_enough:
        raise ExportError(f"{NAME}: {SCORE} is {reached.difference:.2g}, bound {reached.bound:g}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_bytes(model)
    parameters = sum(int(np.prod(variable.shape)) for variable in variables)
    return TFLiteVariant("score", "fp32", path, len(model), parameters, SCORE, *reached)
