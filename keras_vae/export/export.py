"""Publish a trained model: write the files, compare them with the model, describe and check them, rename the folder."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_vae.data.tfrecord import tf_example
from keras_vae.errors import ExportError, InputError
from keras_vae.export.agreement import LARGEST, Agreement, agreement, score_agreement
from keras_vae.export.float32 import answer, in_float32
from keras_vae.export.manifest import Manifest, check_manifest, write_manifest
from keras_vae.export.model_card import Training, write_model_card
from keras_vae.export.onnx import write_onnx
from keras_vae.export.onnx_packages import check_onnx_packages
from keras_vae.export.publish import publish
from keras_vae.export.saved_model import load_saved_model
from keras_vae.export.score_file import write_score_file
from keras_vae.export.signatures import prior_draws, write_saved_model
from keras_vae.export.tflite import TFLiteVariant, write_tflite
from keras_vae.export.warmup import replay_warmup_requests, write_warmup_requests
from keras_vae.latents import CodePrior, GaussianBottleneck, PointBottleneck, Quantizer, prior_name
from keras_vae.layers import Prior
from keras_vae.models import VAE
from keras_vae.models.batches import images_at_a_time
from keras_vae.scoring import Scorer
from keras_vae.scoring.answers import answers
from keras_vae.training.environment import git_revision
from keras_vae.training.requirements import package_versions

SIGNATURE_BOUND = 1e-4
"""Largest absolute difference allowed between SavedModel and Keras model; rounding is below 1e-5. See `agreement`."""
COMPARED = 32
"""Number of images on which every signature is compared."""

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


def export_saved_model(
    vae: VAE,
    root: Path,
    *,
    images: Images,
    labels: Labels | None = None,
    version: int | None = None,
    data: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    training: Training | None = None,
    scorer: Scorer | None = None,
    tflite: bool = True,
    onnx: bool = False,
    float_io: bool = False,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Publish a model as ``root/<version>``: SavedModel, warm-up requests, TFLite files, model card and manifest.

    Every signature and every TFLite file is compared with the Keras model before anything is published. All of them
    compute in float32, which is fast on any machine, whatever precision the model was trained in.

    Args:
        vae: the model.
        root: ``exports/<name>``; see `model_root`.
        images: real images, uint8 (N, H, W, C), like those that the model was trained on. Half of them calibrate the
            TFLite files and the other half measures the differences; 400 are enough.
        labels: labels of the images, int32 (N,), for a conditional model.
        version: a number from 1, or None for the UTC time in whole seconds.
        data: the run's record of the training data.
        evaluation: the contents of evaluation.json, or None if the model was not measured.
        training: how the model was trained, for the card.
        scorer: fitted with this model; adds the signature ``score`` and, where LiteRT has its operators, the file
            ``score_fp32.tflite``.
        tflite: whether to write the TFLite files.
        onnx: whether to write ONNX files; needs the extra ``onnx``.
        float_io: whether the inputs and outputs of the int8 TFLite files are float32.
        say: called with one line before each stage.

    Returns:
        The version's folder.

    Raises:
        InputError: if the images do not fit the model, if it has a bottleneck of your own, or a prior of your own
            without `Prior.draw`, if ``onnx`` is set without the extra, if the scorer was fitted with another model or
            with too few images for its rate of false alarms, or has regret steps, or as in `publish`.
        ExportError: if an output differs from the Keras model's by more than its bound.
    """
    if onnx:
        check_onnx_packages()
    if images.dtype != np.uint8 or images.shape[1:] != tuple(vae.image_shape) or len(images) == 0:
        raise InputError(f"images must be uint8 {('N', *vae.image_shape)}, got {images.dtype} {images.shape}")
    if not isinstance(vae.bottleneck, GaussianBottleneck | PointBottleneck | Quantizer):
        kind = type(vae.bottleneck).__name__
        raise InputError(f"models with the bottleneck {kind} are not exported; save the model as .keras")
    if type(vae.prior).draw in (Prior.draw, CodePrior.draw):
        raise InputError(
            f"the model's prior, a {type(vae.prior).__name__}, has no method draw, which exported models need; define "
            "it, or save the model as .keras"
        )
    if vae.num_classes is not None and labels is None:
        raise InputError(f"the model is conditional on {vae.num_classes} classes; give labels with the images")
    # In bfloat16, fused kernels and Keras's own differ by 2e-2 through rounding alone, which would hide a mistake.
    vae = in_float32(vae)
    scorer = None if scorer is None else scorer.on_copy(vae)
    score = None if scorer is None else _score_record(scorer)
    labels = labels if vae.num_classes is not None else None
    pixels = images.astype(np.float32) / np.float32(255)
    compared = min(COMPARED, images_at_a_time(vae.image_shape))
    tell = say or (lambda line: None)

    def write(folder: Path, number: int) -> None:
        tell("writing the SavedModel")
        write_saved_model(vae, folder, scorer)
        signatures = signature_differences(vae, folder, images[:compared], labels, scorer)
        write_warmup_requests(folder, vae, model_name=root.name, version=number, images=pixels)
        variants = []
        if tflite:
            tell("converting to TFLite")
            variants = write_tflite(vae, folder / "tflite", pixels, labels, float_io=float_io)
            if scorer is not None:
                some = None if labels is None else labels[:compared]
                try:
                    variants.append(write_score_file(scorer, folder / "tflite", pixels[:compared], some))
                except ExportError as error:
                    tell(f"left out {error}")
        onnx_files = {}
        if onnx:
            tell("converting to ONNX")
            onnx_files = write_onnx(vae, folder)
        manifest = _describe(
            vae,
            root.name,
            number,
            data=data,
            evaluation=evaluation,
            score=score,
            signatures=signatures,
            tflite=tuple(_tflite_record(variant, folder) for variant in variants),
            onnx=tuple(_onnx_record(folder / "onnx" / name, folder, onnx_files[name]) for name in onnx_files),
        )
        write_model_card(folder, manifest, training)
        write_manifest(folder, manifest)

    def verify(folder: Path) -> None:
        tell("checking what was written")
        check_manifest(folder)
        replay_warmup_requests(folder)

    return publish(root, version, write, verify)


def signature_differences(
    vae: VAE, folder: Path, images: Images, labels: Labels | None = None, scorer: Scorer | None = None
) -> dict[str, dict[str, float]]:
    """Load a SavedModel and compare all its signatures with the Keras model on real images.

    Args:
        vae: the model.
        folder: folder of the SavedModel.
        images: uint8 (N, H, W, C).
        labels: at least N labels, int32, for a conditional model.
        scorer: whose signature ``score`` the file has, on the same ``vae``.

    Returns:
        for each signature its largest absolute ``difference`` and the ``bound``.

    Raises:
        ExportError: if a difference is above the bound.
    """
    model = load_saved_model(folder)
    pixels = tf.constant(images, tf.float32) / 255
    classes = None if labels is None else tf.constant(labels[: len(images)], tf.int32)
    conditions = {} if classes is None else {"label": classes}
    posterior = answer(vae, "encode", {"image": pixels, **conditions})
    reconstruction = {"reconstruction": vae.decode(posterior["mean"], classes), **posterior}
    seed = tf.constant([1, 2], tf.int32)
    drawn_classes = None if vae.sample_classes is None else tf.range(len(images)) % vae.sample_classes
    drawn_label = {} if drawn_classes is None else {"label": drawn_classes}
    drawn = model.signatures["sample"](count=tf.constant(len(images), tf.int32), seed=seed, **drawn_label)
    expected_draws = prior_draws(vae, len(images), seed, drawn_classes)
    examples = tf.constant(
        [
            tf_example(png, None if classes is None else int(classes[index]))
            for index, png in enumerate(tf.io.encode_png(images).numpy())
        ]
    )
    compared = {
        "serving_default": (model.signatures["serving_default"](image=pixels, **conditions), reconstruction),
        "encode": (
            model.signatures["encode"](image=pixels, **conditions),
            posterior,
        ),
        "decode": (
            model.signatures["decode"](z=posterior["mean"], **conditions),
            {"image": reconstruction["reconstruction"]},
        ),
        "sample": (drawn, {"image": vae.decode(expected_draws["z"], drawn_classes), **expected_draws}),
        "serve_tf_examples": (model.signatures["serve_tf_examples"](examples=examples), reconstruction),
    }
    if "codes" in posterior:
        codes = {"codes": posterior["codes"], **conditions}
        compared["decode_codes"] = model.signatures["decode_codes"](**codes), answer(vae, "decode_codes", codes)
    if scorer is not None:
        compared["score"] = model.signatures["score"](image=pixels, **conditions), answers(scorer, pixels, classes)
    held_out = None if scorer is None else len(scorer.calibration.normal)
    return {name: _difference(vae, name, found, expected, held_out) for name, (found, expected) in compared.items()}


def _score_record(scorer: Scorer) -> dict[str, Any]:
    """The manifest's entry for a scorer.

    Raises:
        InputError: if it saw too few normal images for its rate of false alarms, or measures a likelihood regret.
    """
    if scorer.regret_steps:
        raise InputError(
            "an exported model cannot measure a likelihood regret, which takes training; fit one without regret_steps"
        )
    return {
        "method": scorer.method,
        "measures": list(scorer.measure_names),
        "held_out": len(scorer.calibration.normal),
        "false_alarms": scorer.false_alarms,
        "threshold": scorer.calibration.threshold(scorer.false_alarms),
    }


def _difference(
    vae: VAE, signature: str, found: Mapping[str, Any], expected: Mapping[str, Any], held_out: int | None
) -> dict[str, float]:
    if found.keys() != expected.keys():
        raise ExportError(f"{signature} gives {', '.join(sorted(found))}, not {', '.join(sorted(expected))}")
    if signature == "score" and held_out is not None:
        reached = score_agreement(found, expected, held_out)
    else:
        reached = agreement(vae, found, expected, SIGNATURE_BOUND)
    if not reached.is_enough:
        raise ExportError(
            f"{signature} of the SavedModel differs from the Keras model by {reached.difference:.1e}, "
            f"more than {reached.bound:.0e}; nothing was published"
        )
    return reached._asdict()


def _tflite_record(variant: TFLiteVariant, folder: Path) -> dict[str, Any]:
    """The manifest's entry for a TFLite file."""
    return {**dataclasses.asdict(variant), "path": variant.path.relative_to(folder).as_posix()}


def _onnx_record(path: Path, folder: Path, reached: Agreement) -> dict[str, Any]:
    """The manifest's entry for an ONNX file."""
    return {
        "path": path.relative_to(folder).as_posix(),
        "size": path.stat().st_size,
        **reached._asdict(),
        "measure": LARGEST,
    }


def _describe(
    vae: VAE,
    name: str,
    version: int,
    *,
    data: Mapping[str, Any] | None,
    evaluation: Mapping[str, Any] | None,
    score: Mapping[str, Any] | None,
    signatures: Mapping[str, Mapping[str, float]],
    tflite: tuple[Mapping[str, Any], ...],
    onnx: tuple[Mapping[str, Any], ...],
) -> Manifest:
    encoder, decoder = vae.encoder.count_params(), vae.decoder.count_params()
    return Manifest(
        name=name,
        version=version,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        image_shape=vae.image_shape,
        latent_shape=vae.latent_shape,
        num_classes=vae.num_classes,
        variational=vae.variational,
        prior=prior_name(vae.prior),
        prior_classes=vae.prior.num_classes,
        codebook_size=vae.bottleneck.codebook_size or None,
        code_shape=vae.bottleneck.code_shape,
        likelihood=vae.likelihood,
        likelihood_scale=float(vae.likelihood_scale),
        scaling_factor=None if vae.scaling_factor is None else float(vae.scaling_factor),
        parameters={"encoder": encoder, "decoder": decoder, "total": vae.count_params()},
        software=package_versions(),
        git_revision=git_revision(),
        data=data,
        evaluation=evaluation,
        score=score,
        signatures=signatures,
        tflite=tflite,
        onnx=onnx,
    )
