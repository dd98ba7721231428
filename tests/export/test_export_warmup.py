"""Warm-up requests: their contents, and that they run on their SavedModel."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from exported_models import make_images
from tensorflow_serving.apis import prediction_log_pb2

from keras_vae.errors import ExportError, InputError
from keras_vae.export.warmup import replay_warmup_requests, write_warmup_requests

REQUESTS = "assets.extra/tf_serving_warmup_requests"
SIGNATURES = {"serving_default", "encode", "decode", "sample", "serve_tf_examples"}


def requests_in(folder):
    records = tf.data.TFRecordDataset(str(folder / REQUESTS)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]


@pytest.fixture
def copied(saved_model, tmp_path):
    """A copy of the SavedModel, whose requests a test may change."""
    return shutil.copytree(saved_model, tmp_path / "copy")


def test_there_are_requests_for_every_signature_of_one_image_and_of_several(saved_model):
    requests = requests_in(saved_model)
    sizes = [
        (request.model_spec.signature_name, request.inputs["image"].tensor_shape.dim[0].size)
        for request in requests
        if "image" in request.inputs
    ]
    assert {request.model_spec.signature_name for request in requests} == SIGNATURES
    assert set(sizes) == {(name, size) for name in ("serving_default", "encode") for size in (1, 3)}


def test_requests_name_the_model_and_its_version(saved_model):
    assert {(r.model_spec.name, r.model_spec.version.value) for r in requests_in(saved_model)} == {("digits", 7)}


def test_without_a_version_the_server_chooses(copied, exported_vae):
    written = write_warmup_requests(copied, exported_vae, model_name="digits", version=None, images=make_images(1))
    assert written == len(SIGNATURES)
    assert not any(request.model_spec.HasField("version") for request in requests_in(copied))


def test_the_requests_run_on_the_saved_model(saved_model):
    assert replay_warmup_requests(saved_model) == len(requests_in(saved_model)) == 2 * len(SIGNATURES)


def test_the_requests_of_a_conditional_model_carry_labels(copied, conditional_vae):
    write_warmup_requests(copied, conditional_vae, model_name="digits", version=1, images=make_images(4))
    labels = {
        tuple(request.inputs["label"].int_val) or tuple(tf.make_ndarray(request.inputs["label"]))
        for request in requests_in(copied)
        if request.model_spec.signature_name != "serve_tf_examples"
    }
    assert labels == {(0,), (0, 1, 2, 0)}


@pytest.mark.parametrize(
    ("signature", "inputs", "message"),
    [
        ("missing", {}, "the signatures are decode, encode"),
        ("decode", {"latent": np.zeros((1, 2), "float32")}, "takes z, got latent"),
        ("decode", {"z": np.zeros((1, 2))}, "z is float32, got float64"),
        ("decode", {"z": np.zeros((1, 3), "float32")}, r"z is of shape \(None, 2\), got \(1, 3\)"),
        ("serve_tf_examples", {"examples": [b"no example"]}, "Unable to parse binary protobuf"),
    ],
)
def test_a_request_that_fails_is_named(copied, signature, inputs, message):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with tf.io.TFRecordWriter(str(copied / REQUESTS)) as writer:
        writer.write(log.SerializeToString())

    with pytest.raises(ExportError, match=rf"request 0 \({signature}\) fails: .*{message}"):
        replay_warmup_requests(copied)


@pytest.mark.parametrize("images", [make_images(0), make_images(2)[:, :5], make_images(2).astype("uint8")])
def test_images_of_another_kind_are_refused(exported_vae, tmp_path, images):
    with pytest.raises(InputError, match=r"warm-up needs images float32 \(N, 11, 12, 1\)"):
        write_warmup_requests(tmp_path, exported_vae, model_name="digits", version=1, images=images)
