"""The REST example against a server that answers as TensorFlow Serving does, from the exported SavedModel.

The API: https://www.tensorflow.org/tfx/serving/api_rest
"""

import http.server
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_vae.export.saved_model import load_saved_model


def answer(signatures, body):
    """What the predict API answers; raises ValueError for what it refuses."""
    signature = signatures[body.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    if ("instances" in body) == ("inputs" in body):
        raise ValueError("a request has either instances or inputs")
    if "instances" in body:
        rows = body["instances"]
        if not isinstance(rows[0], dict):  # of a single input the name may be left out
            (name,) = specs
            rows = [{name: row} for row in rows]
        inputs = {name: [row[name] for row in rows] for name in specs}
    else:
        inputs = body["inputs"]
        if not isinstance(inputs, dict):
            (name,) = specs
            inputs = {name: inputs}
    if inputs.keys() != specs.keys():
        raise ValueError(f"inputs are {sorted(specs)}, got {sorted(inputs)}")
    tensors = {name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()}
    for name, spec in specs.items():
        if not spec.shape.is_compatible_with(tensors[name].shape):
            raise ValueError(f"{name} must be {spec.shape}, got {tensors[name].shape}")
    outputs = {name: value.numpy().tolist() for name, value in signature(**tensors).items()}
    if "inputs" in body:
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    return {"predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]}


@pytest.fixture(scope="module")
def url(saved_model):
    signatures = load_saved_model(saved_model).signatures

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                if self.path != "/v1/models/noise:predict":
                    raise LookupError("Servable not found for request: Latest(other)")
                status, reply = 200, answer(signatures, body)
            except (LookupError, ValueError) as error:
                status, reply = (404 if isinstance(error, LookupError) else 400), {"error": str(error)}
            text = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models/noise"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def rest(example):
    return example("serving_rest")


def test_rows_give_an_object_for_each_image(rest, url, vae, images):
    rows = rest.reconstruct(url, images)
    assert [sorted(row) for row in rows] == [["log_var", "mean", "reconstruction"]] * len(images)
    found = np.array([row["reconstruction"] for row in rows])
    np.testing.assert_allclose(found, vae.reconstruct(images), atol=1e-5)


def test_columns_encode_and_decode_as_the_model_does(rest, url, vae, images):
    mean, log_var = rest.encode(url, images)
    np.testing.assert_allclose(mean, vae.encode(images)[0], atol=1e-5)
    assert log_var.shape == mean.shape == (4, 3)
    np.testing.assert_allclose(rest.decode(url, mean), vae.decode(mean), atol=1e-5)


def test_samples_are_the_same_for_the_same_seed(rest, url):
    first, again, other = (rest.sample(url, 2, seed) for seed in ((0, 1), (0, 1), (0, 2)))
    assert first.shape == (2, 12, 12, 1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_program_prints_latents_and_writes_images(rest, url, image_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rest.main([url, str(image_file), str(image_file)])
    assert capsys.readouterr().out.count("latent [") == 2
    for name in ("decoded.png", "sampled.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (12, 12)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost:1/v1/models/noise", "TensorFlow Serving does not answer ("),
        ("localhost:1/noise", "unknown url type: localhost"),
    ],
)
def test_without_a_server_a_line_says_so(rest, image_file, url, words):
    with pytest.raises(SystemExit) as ended:
        rest.main([url, str(image_file)])
    assert words in ended.value.code
    assert "\n" not in ended.value.code


def test_images_that_cannot_be_sent_are_named(rest, image_file, tmp_path):
    for name in (str(tmp_path / "none.png"), __file__):
        with pytest.raises(SystemExit, match=Path(name).name):
            rest.read_images([name], "L")
    Image.new("L", (5, 5)).save(tmp_path / "small.png")
    with pytest.raises(SystemExit, match="one size"):
        rest.read_images([str(image_file), str(tmp_path / "small.png")], "L")


def test_what_the_server_refuses_is_shown(rest, url, images):
    with pytest.raises(SystemExit, match="image must be"):
        rest.encode(url, images[:, :5])
    with pytest.raises(SystemExit, match="Servable not found"):
        rest.encode(url.replace("noise", "other"), images)
