"""What people who know Keras try first: export, summary, predict, evaluate, clone, quantize, plain compile and fit."""

import keras
import numpy as np
import pytest

from keras_vae.models import VAE, Decoder, Encoder, FeatureDiscriminator, PatchDiscriminator

SMALL = {"image_shape": (12, 12, 1), "latent_dim": 2, "widths": (8, 16), "groups": 4}
SPATIAL = {"image_shape": (12, 8, 1), "latent_shape": (3, 2, 2), "widths": (8, 16), "groups": 4}
# What tracing and converting take grows with the layers.
TINY = {"widths": (4,), "groups": 4, "attention_resolution": 0, "mapping_layers": 1}
EXPORTED = [
    (VAE, {**TINY, "image_shape": (12, 12, 1), "latent_dim": 2, "generative_skips": False}),
    (VAE, {**TINY, "image_shape": (12, 8, 1), "latent_shape": (6, 4, 2), "num_classes": 3}),
    (Encoder, {**TINY, "image_shape": (12, 12, 1), "latent_dim": 2}),
    (Decoder, {**TINY, "image_shape": (12, 12, 1), "latent_dim": 2, "num_classes": 3}),
    (PatchDiscriminator, {"image_shape": (12, 12, 1), "widths": (8, 8)}),
]

only_on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the formats are written by TensorFlow"
)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def inputs_of(model):
    """Three random inputs by the names in the model's signature."""
    rng = np.random.default_rng(0)
    return {
        spec.name: np.array([0, 2, 1], "int32")
        if spec.name == "labels"
        else rng.random((3, *spec.shape[1:])).astype("float32")
        for spec in model.input_signature
    }


def outputs_of(model):
    return [numpy_of(part) for part in keras.tree.flatten(model(**inputs_of(model)))]


def summary_of(model, **options):
    lines = []
    model.summary(line_length=120, print_fn=lines.append, **options)
    return "\n".join(lines)


@pytest.mark.slow
@only_on_tensorflow
@pytest.mark.parametrize(("model_class", "arguments"), EXPORTED)
def test_a_model_is_exported_as_a_saved_model_before_its_first_call(model_class, arguments, tmp_path):
    from keras_vae.export.saved_model import load_saved_model

    model = model_class(**arguments)

    model.export(tmp_path / "exported", verbose=False)

    loaded = load_saved_model(tmp_path / "exported")
    found = loaded.serve(*inputs_of(model).values())
    for one, other in zip(keras.tree.flatten(found), outputs_of(model), strict=True):
        # the same sums, in an order of TensorFlow's graph
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@only_on_tensorflow
@pytest.mark.parametrize(("model_class", "arguments"), EXPORTED)
def test_a_model_is_exported_for_litert_before_its_first_call(model_class, arguments, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    model = model_class(**arguments)

    model.export(tmp_path / "exported.tflite", format="litert", verbose=False)

    found = Interpreter(str(tmp_path / "exported.tflite")).get_signature_runner()(**inputs_of(model))
    for one, (_, other) in zip(outputs_of(model), sorted(found.items()), strict=True):
        # two libraries' kernels, float32
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@only_on_tensorflow
def test_a_model_is_exported_for_onnx_before_its_first_call(tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = VAE(**EXPORTED[0][1])

    model.export(str(tmp_path / "exported.onnx"), format="onnx", verbose=False)

    (found,) = onnxruntime.InferenceSession(str(tmp_path / "exported.onnx")).run(None, inputs_of(model))
    np.testing.assert_allclose(found, *outputs_of(model), atol=1e-5)


@pytest.mark.parametrize(("model_class", "arguments"), EXPORTED)
def test_a_summary_knows_every_shape_and_count_of_a_model_that_was_never_called(model_class, arguments):
    summary = summary_of(model_class(**arguments), expand_nested=True)

    assert "?" not in summary
    assert "unbuilt" not in summary


def test_a_summary_shows_the_latents_of_bottleneck_and_prior():
    rows = {line.split()[1]: line for line in summary_of(VAE(**SPATIAL)).splitlines() if line.startswith("│")}

    assert "(None, 3, 2, 2)" in rows["bottleneck"]
    assert "(None, 3, 2, 2)" in rows["prior"]
    assert "(None, 12, 8, 1)" in rows["decoder"]


def test_a_models_own_row_has_its_shape_where_it_is_a_part_of_another():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.vae, self.discriminator = VAE(**SMALL), FeatureDiscriminator([(6, 6, 4)], width=4)

    summary = summary_of(Pair())

    assert "(None, 12, 12, 1)" in summary
    assert "(None, 36)" in summary


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("part", [lambda vae: vae, lambda vae: vae.encoder, lambda vae: vae.decoder])
def test_quantize_names_the_int8_that_there_is(vae, part, mode):
    with pytest.raises(NotImplementedError, match="for int8 use the LiteRT files that `keras-vae export` writes"):
        part(vae).quantize(mode)


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_plain_training_of_a_variational_model_names_the_trainer(images, method):
    model = VAE(**SMALL)
    model.compile("sgd", "mse", run_eagerly=True)

    with pytest.raises(ValueError, match=r"knows no KL and no codebook; train with keras_vae.VAETrainer\(vae\)"):
        getattr(model, method)(images, images)


def test_plain_evaluation_and_prediction_stay(vae, images):
    vae.compile("sgd", "mse", run_eagerly=True)

    expected = np.square(numpy_of(vae(images)) - images).mean()
    assert vae.evaluate(images, images, verbose=0) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(vae.predict(images, verbose=0), numpy_of(vae(images)), atol=1e-5)


class AddsItsKL(VAE):
    def call(self, images, labels=None, training=False):
        mean, log_var = self.encode(images, labels)
        z = self.sampling(mean, log_var)
        self.add_loss(keras.ops.mean(self.prior.kl(mean, log_var, z)))
        return self.decode(z, labels)


class ComputesItsLoss(VAE):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.square(x - y_pred))


@pytest.mark.parametrize("model_class", [AddsItsKL, ComputesItsLoss])
def test_a_subclass_with_a_loss_of_its_own_trains_under_plain_fit(images, model_class):
    model = model_class(**SMALL)
    before = model.get_weights()
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "jax", jit_compile=False)

    model.fit(images, images, verbose=0)

    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


def test_a_conditional_model_predicts_from_images_and_labels_in_a_list(conditional_vae, images):
    labels = np.array([0, 2, 1], "int32")

    found = conditional_vae.predict([images, labels], verbose=0)

    np.testing.assert_allclose(found, numpy_of(conditional_vae(images, labels)), atol=1e-5)


def test_a_clone_has_the_same_config_and_weights_of_its_own(vae, images):
    clone = keras.models.clone_model(vae)

    assert clone.get_config() == vae.get_config()
    clone.set_weights(vae.get_weights())
    np.testing.assert_array_equal(numpy_of(clone(images)), numpy_of(vae(images)))


def test_weights_go_through_a_file_into_another_model(vae, images, tmp_path):
    vae.save_weights(tmp_path / "small.weights.h5")
    other = VAE.from_config(vae.get_config())

    other.load_weights(tmp_path / "small.weights.h5")

    np.testing.assert_array_equal(numpy_of(other(images)), numpy_of(vae(images)))


@pytest.mark.parametrize("base", [VAE, Encoder])
def test_a_subclass_may_add_a_layer_after_its_bases_constructor(base):
    class Wider(base):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.extra = keras.layers.Dense(3)

    model = Wider(**SMALL)

    assert model.extra in model._flatten_layers()
