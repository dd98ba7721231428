"""TFLite files run by LiteRT: names, operators, precision, and refusal of bad conversions."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from exported_models import make_images, make_labels, make_latents

from keras_vae.errors import ExportError, InputError
from keras_vae.export import tflite
from keras_vae.export.flatbuffer import float_operators, foreign_operators
from keras_vae.export.tflite import write_tflite

pytestmark = pytest.mark.slow

NAMES = [f"{part}_{precision}" for part in ("encoder", "decoder") for precision in ("fp32", "fp16", "int8")]


@pytest.fixture(scope="module")
def variants(conditional_vae, tmp_path_factory):
    """All files of a conditional model, by name."""
    written = write_tflite(conditional_vae, tmp_path_factory.mktemp("tflite"), make_images(40), make_labels(40))
    return {variant.path.stem: variant for variant in written}


def only(monkeypatch, precision, bound):
    """Write one precision, judged by ``bound``."""
    monkeypatch.setattr(tflite, "BOUNDS", {precision: (tflite.BOUNDS[precision][0], bound)})


def runner_of(path):
    interpreter = Interpreter(str(path))
    (name,) = interpreter.get_signature_list()
    return name, interpreter.get_signature_runner(name)


def test_there_is_a_file_for_each_part_and_precision(variants):
    assert list(variants) == NAMES
    for variant in variants.values():
        assert variant.path.stat().st_size == variant.size
        assert 0 <= variant.difference <= variant.bound


def test_the_precisions_that_are_asked_for_are_written_alone(exported_vae, tmp_path):
    written = write_tflite(exported_vae, tmp_path, make_images(4), precisions=("fp16",))
    names = ["encoder_fp16.tflite", "decoder_fp16.tflite"]
    assert [variant.path.name for variant in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_named_and_take_one_image(variants, name):
    signature, runner = runner_of(variants[name].path)
    number = np.int8 if name.endswith("int8") else np.float32
    inputs = {key: (x["dtype"], tuple(x["shape"])) for key, x in runner.get_input_details().items()}
    outputs = {key: (x["dtype"], tuple(x["shape"])) for key, x in runner.get_output_details().items()}

    image, vector, label = (number, (1, 11, 12, 1)), (number, (1, 2)), (np.int32, (1,))
    if name.startswith("encoder"):
        assert signature == "encode"
        assert inputs == {"image": image, "label": label}
        assert outputs == {"mean": vector, "log_var": vector}
    else:
        assert signature == "decode"
        assert inputs == {"z": vector, "label": label}
        assert outputs == {"image": image}


@pytest.mark.parametrize("name", NAMES)
def test_files_need_built_in_operators_only(variants, name):
    interpreter = Interpreter(str(variants[name].path))
    operators = {operator["op_name"] for operator in interpreter._get_ops_details()} - {"DELEGATE"}
    assert operators
    assert not any(operator.startswith("Flex") or operator == "CUSTOM" for operator in operators)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_int8_files_hold_no_float_at_all(variants, part):
    interpreter = Interpreter(
        str(variants[f"{part}_int8"].path),
        # A delegate adds tensors of its own.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    assert not any(np.issubdtype(tensor["dtype"], np.floating) for tensor in interpreter.get_tensor_details())


def test_the_decoder_agrees_with_keras_on_every_label(variants, conditional_vae):
    _, runner = runner_of(variants["decoder_fp32"].path)
    z, labels = make_latents(), make_labels()
    found = [runner(z=z[i : i + 1], label=labels[i : i + 1])["image"] for i in range(len(z))]
    np.testing.assert_allclose(np.concatenate(found), conditional_vae.decode(z, labels), atol=1e-5)


def test_float_io_takes_and_gives_float_around_the_same_integers(exported_vae, tmp_path, monkeypatch):
    only(monkeypatch, "int8", 0.02)
    parts = tflite._parts
    monkeypatch.setattr(tflite, "_parts", lambda *arguments: parts(*arguments)[1:])
    (decoder,) = write_tflite(exported_vae, tmp_path, make_images(40), float_io=True)

    _, runner = runner_of(decoder.path)
    image = runner(z=np.zeros((1, 2), "float32"))["image"]

    assert image.dtype == np.float32
    assert np.abs(image - exported_vae.decode(np.zeros((1, 2)))).mean() < 0.02
    assert float_operators(decoder.path.read_bytes()) == []


def test_a_file_beyond_its_bound_is_refused(variants, conditional_vae, tmp_path, monkeypatch):
    only(monkeypatch, "fp16", 1e-9)
    monkeypatch.setattr(tflite, "_convert", lambda *arguments: variants["encoder_fp16"].path.read_bytes())
    message = r"^encoder_fp16.tflite: largest absolute difference between it and the Keras model \d.*, bound 1e-09"
    with pytest.raises(ExportError, match=message):
        write_tflite(conditional_vae, tmp_path, make_images(4), make_labels(4))


def test_the_bound_of_float16_is_a_share_of_large_outputs(exported_vae, tmp_path, monkeypatch):
    only(monkeypatch, "fp16", 1e-3)
    bias = next(weight for weight in exported_vae.encoder.weights if weight.path.endswith("log_var/bias"))
    before = bias.numpy()
    try:
        # float16 rounds this to -9.0078, by a third of a thousandth.
        bias.assign([-9.005, -9.005])
        encoder, decoder = write_tflite(exported_vae, tmp_path, make_images(4))
    finally:
        bias.assign(before)

    assert 1e-3 < encoder.difference < encoder.bound
    assert encoder.bound == pytest.approx(9e-3, rel=0.1)
    assert decoder.bound == 1e-3


def test_operators_of_tensorflow_and_in_float_are_found():
    function = tf.function(lambda x: tf.linalg.det(tf.nn.relu(x)), input_signature=[tf.TensorSpec((1, 2, 2))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    model = converter.convert()

    assert foreign_operators(model) == ["FlexMatrixDeterminant"]
    assert "RELU" in float_operators(model)


def test_a_model_that_litert_cannot_run_is_refused(exported_vae, tmp_path, monkeypatch):
    only(monkeypatch, "fp32", 1e-4)
    answer = tflite.answer
    monkeypatch.setattr(
        tflite,
        "answer",
        lambda *arguments: {name: tf.math.erfinv(value) for name, value in answer(*arguments).items()},
    )
    with pytest.raises(ExportError, match=r"^encoder_fp32.tflite: TensorFlow cannot convert the encoder \(.*Erfinv"):
        write_tflite(exported_vae, tmp_path, make_images(4))


@pytest.mark.parametrize("images", [make_images(1), make_images(4)[:, :5], make_images(4).astype("uint8")])
def test_images_of_another_kind_are_refused(exported_vae, tmp_path, images):
    with pytest.raises(InputError, match=r"TFLite files need images float32 \(N, 11, 12, 1\), N of at least 2"):
        write_tflite(exported_vae, tmp_path, images)


@pytest.mark.parametrize("labels", [None, make_labels(3)])
def test_a_conditional_model_needs_a_label_for_each_image(conditional_vae, tmp_path, labels):
    with pytest.raises(InputError, match=r"a model of 3 classes needs labels \(4,\), got"):
        write_tflite(conditional_vae, tmp_path, make_images(4), labels)
