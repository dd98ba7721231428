"""The SavedModel's signatures have the documented names and shapes, and give the Keras model's results."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from exported_models import (
    SHAPE,
    assert_answers,
    assert_parsing_and_decoding_wait_for_their_checks,
    make_example,
    make_images,
    make_labels,
    make_latents,
    make_vae,
    png,
    reconstruction_in,
    reconstruction_of,
)
from PIL import Image

from keras_vae.export.saved_model import load_saved_model
from keras_vae.export.signatures import write_saved_model

pytestmark = pytest.mark.slow

IMAGE, VECTOR = (None, *SHAPE), (None, 2)
RECONSTRUCTION = {"reconstruction": IMAGE, "mean": VECTOR, "log_var": VECTOR}
# For each signature: inputs with types and shapes, and outputs (all float32) with shapes.
CONTRACT = {
    "serving_default": ({"image": ("float32", IMAGE)}, RECONSTRUCTION),
    "encode": ({"image": ("float32", IMAGE)}, {"mean": VECTOR, "log_var": VECTOR}),
    "decode": ({"z": ("float32", VECTOR)}, {"image": IMAGE}),
    "sample": ({"count": ("int32", ()), "seed": ("int32", (2,))}, {"image": IMAGE, "z": VECTOR}),
    "serve_tf_examples": ({"examples": ("string", (None,))}, RECONSTRUCTION),
}
# Runs every signature in a process that can import neither keras_vae nor Keras.
WITHOUT_OUR_CODE = """
import sys
sys.modules["keras_vae"] = sys.modules["keras"] = None
import numpy as np, tensorflow as tf
folder, inputs, outputs = sys.argv[1:]
signatures = tf.saved_model.load(folder).signatures
found = {}
for key, value in np.load(inputs, allow_pickle=False).items():
    found.setdefault(key.split("/")[0], {})[key.split("/")[1]] = tf.constant(value)
np.savez(outputs, **{
    f"{name}/{key}": value.numpy()
    for name, given in found.items() for key, value in signatures[name](**given).items()
})
"""


def test_the_saved_model_answers_as_the_model_does_with_tensorflow_alone(saved_model, exported_vae, tmp_path):
    images, z = make_images(), make_latents()
    given = {
        "serving_default": {"image": images},
        "encode": {"image": images},
        "decode": {"z": z},
        "sample": {"count": np.int32(4), "seed": np.array([3, 4], "int32")},
        "serve_tf_examples": {"examples": np.array([make_example(png(image)) for image in images])},
    }
    np.savez(tmp_path / "in.npz", **{f"{name}/{key}": value for name, x in given.items() for key, value in x.items()})

    command = [sys.executable, "-c", WITHOUT_OUR_CODE, saved_model, tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)

    noise = tf.random.stateless_normal((4, 2), [3, 4]).numpy()
    reconstruction = reconstruction_of(exported_vae, images)
    expected = {
        "serving_default": reconstruction,
        "encode": {name: reconstruction[name] for name in ("mean", "log_var")},
        "decode": {"image": np.asarray(exported_vae.decode(z))},
        "sample": {"image": np.asarray(exported_vae.decode(noise)), "z": noise},
        "serve_tf_examples": reconstruction,
    }
    flat = {f"{name}/{key}": value for name, outputs in expected.items() for key, value in outputs.items()}
    assert_answers(dict(np.load(tmp_path / "out.npz")), flat)


@pytest.mark.parametrize("name", CONTRACT)
def test_a_signature_has_the_names_types_and_shapes_of_the_contract(signatures, conditional_signatures, name):
    inputs, outputs = CONTRACT[name]
    label = {} if name == "serve_tf_examples" else {"label": ("int32", (None,))}
    for signature, wanted in ((signatures[name], inputs), (conditional_signatures[name], {**inputs, **label})):
        assert {key: (x.dtype.name, tuple(x.shape)) for key, x in signature.inputs.items()} == wanted
        assert {key: tuple(x.shape) for key, x in signature.outputs.items()} == outputs
        assert {x.dtype for x in signature.outputs.values()} == {tf.float32}


def test_there_are_no_other_signatures(signatures, conditional_signatures):
    assert signatures.keys() == conditional_signatures.keys() == CONTRACT.keys()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_signature_takes_any_batch_size(signatures, exported_vae, count):
    images, z = make_images(count), make_latents(count)
    examples = [make_example(png(image)) for image in images]

    answers = {
        "serving_default": signatures["serving_default"](image=images),
        "encode": signatures["encode"](image=images),
        "decode": signatures["decode"](z=z),
        "sample": signatures["sample"](count=count, seed=[0, 1]),
        "serve_tf_examples": signatures["serve_tf_examples"](examples=examples),
    }

    for name, answer in answers.items():
        wanted = {key: (count, *shape[1:]) for key, shape in CONTRACT[name][1].items()}
        assert {key: tuple(value.shape) for key, value in answer.items()} == wanted, name
    if count:
        assert_answers(answers["serving_default"], reconstruction_of(exported_vae, images))


def test_sample_depends_on_its_seed_alone(signatures):
    first, again, other = (signatures["sample"](count=3, seed=seed) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert not np.array_equal(first["z"], other["z"])


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
def test_examples_of_another_size_and_kind_are_made_to_fit(signatures, exported_vae, encode):
    # A single grey value, which neither resizing nor JPEG compression changes.
    example = make_example(encode(np.full((31, 40, 3), 102, "uint8")).numpy())
    answer = signatures["serve_tf_examples"](examples=[example])
    assert_answers(answer, reconstruction_of(exported_vae, np.full((1, *SHAPE), 102 / 255, "float32")), 1e-3)


def claims_to_be(side):
    """A PNG of a few bytes whose header claims the given number of pixels per side."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def jpeg_that_claims_to_be(side):
    """A JPEG whose frame header was changed."""
    content = bytearray(tf.io.encode_jpeg(np.zeros((8, 8, 1), "uint8")).numpy())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(content)


@pytest.mark.parametrize(
    "image",
    [claims_to_be(4097), claims_to_be(2**31 - 1), jpeg_that_claims_to_be(60_000)],
    ids=["PNG", "largest PNG", "JPEG"],
)
def test_an_image_of_too_many_pixels_is_an_error_before_it_is_decoded(signatures, image):
    with pytest.raises(tf.errors.InvalidArgumentError, match="more pixels than are decoded"):
        signatures["serve_tf_examples"](examples=[make_example(image)])


def test_examples_and_pixels_are_checked_before_they_are_decoded(saved_model):
    assert_parsing_and_decoding_wait_for_their_checks(saved_model)


def test_an_image_of_the_most_pixels_is_taken(signatures):
    image = tf.io.encode_png(np.zeros((4096, 4096, 1), "uint8")).numpy()
    assert signatures["serve_tf_examples"](examples=[make_example(image)])["mean"].shape[0] == 1


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_other_kinds_of_images_are_an_error(signatures, kind):
    file = io.BytesIO()
    Image.new("L", (28, 28)).save(file, kind)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid JPEG data"):
        signatures["serve_tf_examples"](examples=[make_example(file.getvalue())])


@pytest.mark.parametrize(
    "example",
    [b"", make_example(b"no image"), make_example(b""), make_example(png(make_images(1)[0])[:60])],
    ids=["no feature", "no image", "empty image", "truncated image"],
)
def test_a_malformed_example_is_an_error(signatures, example):
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["serve_tf_examples"](examples=[make_example(png(make_images(1)[0])), example])


@pytest.mark.parametrize("end", [-1, -40])
def test_what_is_no_example_is_an_error(signatures, end):
    """TensorFlow's own parser would write out of bounds for a truncated string."""
    good = make_example(png(make_images(1)[0]))
    for example in (b"no proto", good[:end]):
        with pytest.raises(tf.errors.DataLossError):
            signatures["serve_tf_examples"](examples=[good, example])


def test_a_negative_count_is_an_error(signatures):
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["sample"](count=-1, seed=[0, 0])


def test_a_conditional_model_answers_by_its_labels(conditional_signatures, conditional_vae):
    images, labels, z = make_images(), make_labels(), make_latents()
    expected = reconstruction_of(conditional_vae, images, labels)
    decoded = {"image": np.asarray(conditional_vae.decode(z, labels))}
    examples = [make_example(png(image), label) for image, label in zip(images, labels, strict=True)]

    drawn = conditional_signatures["sample"](count=5, seed=[0, 0], label=labels)

    assert_answers(conditional_signatures["serving_default"](image=images, label=labels), expected)
    assert_answers(conditional_signatures["decode"](z=z, label=labels), decoded)
    assert_answers(conditional_signatures["serve_tf_examples"](examples=examples), expected)
    np.testing.assert_allclose(drawn["image"], conditional_vae.decode(drawn["z"], labels), atol=1e-5)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 0], [0, 1, 2, 0, 3]], ids=["one", "too few", "unknown class"])
def test_labels_that_do_not_fit_are_an_error(conditional_signatures, labels):
    with pytest.raises(tf.errors.InvalidArgumentError):
        conditional_signatures["serving_default"](image=make_images(), label=labels)
    with pytest.raises(tf.errors.InvalidArgumentError):
        conditional_signatures["sample"](count=5, seed=[0, 0], label=labels)


def test_an_example_of_a_conditional_model_needs_a_label(conditional_signatures):
    with pytest.raises(tf.errors.InvalidArgumentError, match="label"):
        conditional_signatures["serve_tf_examples"](examples=[make_example(png(make_images(1)[0]))])


def test_a_mixed_precision_model_computes_as_in_keras_and_gives_float32(tmp_path):
    vae = make_vae(dtype=keras.DTypePolicy("mixed_bfloat16"), generative_skips=False, attention_resolution=0)
    write_saved_model(vae, tmp_path)

    answer = load_saved_model(tmp_path).signatures["serving_default"](image=tf.constant(make_images()))
    # As Keras computes in a graph. Eagerly, bfloat16 rounds at other places and pixels differ by 0.03.
    expected = tf.function(lambda images: reconstruction_in(vae, images))(make_images())

    assert {value.dtype for value in answer.values()} == {tf.float32}
    assert_answers(answer, expected)


def test_the_graph_names_no_folder_of_this_machine(saved_model):
    graph = (saved_model / "saved_model.pb").read_bytes()
    assert str(Path.home()).encode() + b"/" not in graph
    assert str(Path(__file__).parents[2]).encode() not in graph
    assert not (saved_model / "debug").exists()


def test_openvino_reads_the_saved_model_and_agrees(saved_model, exported_vae):
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    # By default it computes in a lower precision.
    model = core.compile_model(core.read_model(saved_model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    found = model({"image": make_images()})
    # It has several names for one output.
    names = {output: output.names & RECONSTRUCTION.keys() for output in model.outputs}
    answer = {name: found[output] for output, (name,) in names.items()}

    assert_answers(answer, reconstruction_of(exported_vae, make_images()), 1e-4)
