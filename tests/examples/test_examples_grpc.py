"""The gRPC example's requests, checked and answered as a server does, from the exported SavedModel."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.export.saved_model import load_saved_model

grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")


@pytest.fixture(scope="module")
def client(example):
    return example("serving_grpc")


@pytest.fixture(scope="module")
def predict(saved_model):
    """``predict(request)``: checks names, types and shapes by the signature, runs it, gives the response."""
    signatures = load_saved_model(saved_model).signatures

    def predict(request):
        assert request.model_spec.name == "noise"
        signature = signatures[request.model_spec.signature_name]
        specs = signature.structured_input_signature[1]
        assert set(request.inputs) == specs.keys()
        inputs = {}
        for name, spec in specs.items():
            assert request.inputs[name].dtype == spec.dtype.as_datatype_enum, name
            inputs[name] = tf.constant(tf.make_ndarray(request.inputs[name]))
            assert spec.shape.is_compatible_with(inputs[name].shape), name
        response = predict_pb2.PredictResponse()
        for name, value in signature(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return predict_pb2.PredictResponse.FromString(response.SerializeToString())

    return predict


def test_images_come_back_reconstructed(client, predict, vae, images):
    arrays = client.answer_arrays(predict(client.image_request("noise", images)))
    assert arrays.keys() == {"reconstruction", "mean", "log_var"}
    np.testing.assert_allclose(arrays["reconstruction"], vae.reconstruct(images), atol=1e-5)


def test_files_are_decoded_by_the_server(client, predict, vae, images, image_file):
    arrays = client.answer_arrays(predict(client.file_request("noise", [image_file.read_bytes()] * 2)))
    np.testing.assert_allclose(arrays["mean"][1:], vae.encode(images[:1])[0], atol=1e-5)


def test_latents_are_decoded(client, predict, vae):
    z = np.linspace(-1, 1, 6).reshape(2, 3)
    arrays = client.answer_arrays(predict(client.decode_request("noise", z)))
    np.testing.assert_allclose(arrays["image"], vae.decode(z.astype(np.float32)), atol=1e-5)


def test_samples_have_the_count_that_is_asked_for(client, predict):
    arrays = client.answer_arrays(predict(client.sample_request("noise", 5, (0, 1))))
    assert {name: value.shape for name, value in arrays.items()} == {"image": (5, 12, 12, 1), "z": (5, 3)}


def test_a_version_is_named_only_when_asked_for(client):
    z = np.zeros((1, 3), np.float32)
    assert not client.decode_request("noise", z).model_spec.HasField("version")
    assert client.predict_request("noise", "decode", {"z": z}, version=7).model_spec.version.value == 7


def test_the_program_asks_a_server(client, predict, image_file, capsys):
    from concurrent import futures

    from tensorflow_serving.apis import prediction_service_pb2_grpc

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802, the name in the service's definition
            return predict(request)

    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        client.main([f"127.0.0.1:{port}", "noise", str(image_file)])
    finally:
        server.stop(None)
    printed = capsys.readouterr().out
    assert "latent [" in printed
    assert "decoded (1, 12, 12, 1), sampled (4, 12, 12, 1)" in printed


def test_without_a_server_or_a_file_a_line_says_so(client, image_file, tmp_path):
    with pytest.raises(SystemExit, match=r"^localhost:1: UNAVAILABLE: .*refused"):
        client.main(["localhost:1", "noise", str(image_file)])
    with pytest.raises(SystemExit, match=r"none\.png"):
        client.main(["localhost:1", "noise", str(tmp_path / "none.png")])
