"""The LiteRT example on small files with the exported ones' signatures: batch 1, float32, and int8 in and out."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

pytest.importorskip("ai_edge_litert")

# TensorFlow's converter calibrates with its own interpreter.
pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")

SHAPE, LATENT = (12, 12, 1), 3
PIXELS = 144


class LinearModel(tf.Module):
    """An encoder and a decoder of one matrix each."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.down = tf.Variable(random.normal(0, 0.1, (PIXELS, 2 * LATENT)).astype(np.float32))
        self.up = tf.Variable(random.normal(0, 1, (LATENT, PIXELS)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, *SHAPE), tf.float32, "image")])
    def encode(self, image):
        mean, log_var = tf.split(tf.reshape(image, (1, PIXELS)) @ self.down, 2, axis=1)
        return {"mean": mean, "log_var": log_var}

    @tf.function(input_signature=[tf.TensorSpec((1, LATENT), tf.float32, "z")])
    def decode(self, z):
        return {"image": tf.reshape(tf.sigmoid(z @ self.up), (1, *SHAPE))}


@pytest.fixture(scope="module")
def model():
    return LinearModel()


@pytest.fixture(scope="module")
def files(model, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    saved = str(folder / "saved_model")
    tf.saved_model.save(model, saved, signatures={"encode": model.encode, "decode": model.decode})
    latents = np.linspace(-3, 3, 12, dtype=np.float32).reshape(4, LATENT)
    for part, signature, inputs in (("encoder", "encode", {"image": images}), ("decoder", "decode", {"z": latents})):
        for precision in ("fp32", "int8"):
            converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[signature])
            if precision == "int8":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
                (name, values), *_ = inputs.items()
                rows = [(signature, {name: value[None]}) for value in values]
                converter.representative_dataset = lambda rows=rows: iter(rows)
            (folder / f"{part}_{precision}.tflite").write_bytes(converter.convert())
    return folder


@pytest.fixture(scope="module")
def litert(example):
    return example("litert_decode")


# int8 has steps of 1/255 of a tensor's range, of about 3 for the latents and 1 for the pixels.
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("int8", 0.04)])
def test_encoding_and_decoding_give_what_the_model_gives(litert, files, model, images, precision, tolerance):
    mean, log_var = litert.encode(str(files / f"encoder_{precision}.tflite"), images)
    expected = [model.encode(image[None]) for image in images]
    np.testing.assert_allclose(mean, np.concatenate([row["mean"] for row in expected]), atol=tolerance)
    np.testing.assert_allclose(log_var, np.concatenate([row["log_var"] for row in expected]), atol=tolerance)

    z = np.array([[0, 0, 0], [1, -1, 2]], np.float32)
    decoded = litert.decode(str(files / f"decoder_{precision}.tflite"), z)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, np.concatenate([model.decode(row[None])["image"] for row in z]), atol=tolerance)


def test_the_program_writes_the_reconstruction(litert, files, image_file, tmp_path, capsys):
    out = tmp_path / "reconstruction.png"
    litert.main([str(files / "encoder_int8.tflite"), str(files / "decoder_int8.tflite"), str(image_file), str(out)])
    assert "latent [" in capsys.readouterr().out
    with Image.open(out) as picture:
        assert picture.size == (12, 12)


def test_a_file_that_cannot_be_used_ends_the_program_with_a_line(litert, files, image_file, tmp_path):
    encoder, decoder = str(files / "encoder_int8.tflite"), str(files / "decoder_int8.tflite")
    out = str(tmp_path / "reconstruction.png")
    for arguments in (
        ["none.tflite", decoder, str(image_file), out],
        [encoder, "none.tflite", str(image_file), out],
        [encoder, decoder, "none.png", out],
        [encoder, decoder, str(image_file), str(tmp_path / "none" / "reconstruction.png")],
    ):
        with pytest.raises(SystemExit, match="none"):
            litert.main(arguments)
