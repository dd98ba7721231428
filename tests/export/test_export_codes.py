"""Exported models of codes: signatures, LiteRT files, and what commands and Python make of them."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from stand_ins import EVALUATION

from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError
from keras_vae.export.export import export_saved_model
from keras_vae.export.loading import load_exported
from keras_vae.export.manifest import NAME, read_manifest
from keras_vae.export.saved_model import load_saved_model
from keras_vae.latents import CodePrior, FiniteScalarQuantizer, VectorQuantizer
from keras_vae.models import VAE
from keras_vae.training.evaluation import evaluation_report

SHAPE = (8, 8, 1)
FEW_LAYERS = {"widths": (4,), "groups": 2, "attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
PIXELS = IMAGES.astype("float32") / 255
LABELS = np.arange(40, dtype="int32") % 3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["vq", "fsq"])
def published(request, tmp_path_factory):
    """A model and its published version: 4×4 codes of 8, or 4×4×2 codes of 9 of a conditional model."""
    keras.utils.set_random_seed(0)
    if request.param == "vq":
        vae, labels = VAE(SHAPE, **FEW_LAYERS, latent_shape=(4, 4, 2), bottleneck=VectorQuantizer(8)), None
    else:
        bottleneck = FiniteScalarQuantizer((3, 3))
        vae = VAE(SHAPE, **FEW_LAYERS, latent_shape=(4, 4, 4), bottleneck=bottleneck, num_classes=3)
        labels = LABELS
    root = tmp_path_factory.mktemp(request.param) / "digits"
    return vae, labels, export_saved_model(vae, root, images=IMAGES, labels=labels, evaluation=EVALUATION)


def test_the_manifest_and_the_model_card_say_which_codes_there_are(published):
    vae, labels, folder = published
    manifest = read_manifest(folder)
    assert manifest.prior == "uniform"
    assert (manifest.codebook_size, manifest.code_shape) == (vae.bottleneck.codebook_size, vae.bottleneck.code_shape)
    shape = ", ".join(map(str, vae.bottleneck.code_shape))
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"`codes` int32 (N, {shape}) in [0, {vae.bottleneck.codebook_size}) |\n| `encode` |" in card
    label = "" if labels is None else ", `label` int32 (N,)"
    assert f"| `decode_codes` | `codes`{label} | `image` |\n| `serve_tf_examples` |" in card


def test_an_exported_model_makes_and_takes_the_codes_of_the_model(published):
    vae, labels, folder = published
    exported = load_exported(folder)
    codes = np.asarray(vae.encode_codes(PIXELS, labels))
    found = exported.encode_codes(PIXELS, labels)
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, codes)
    np.testing.assert_allclose(exported.decode_codes(codes, labels), vae.decode_codes(codes, labels), atol=1e-5)
    latents, expected = exported.latents(PIXELS, labels), vae.latents(PIXELS, labels)
    for name in ("z", "codes", "kl"):
        np.testing.assert_allclose(latents[name], expected[name], rtol=1e-6, err_msg=name)
    with pytest.raises(InputError, match=rf"codes must be in \[0, {vae.bottleneck.codebook_size}\), got -1 to"):
        exported.decode_codes(codes - codes.min() - 1, labels)


def test_an_exported_model_draws_the_codes_that_the_model_draws(published):
    vae, labels, folder = published
    label = {} if labels is None else {"label": tf.constant(labels[:6])}
    model = load_saved_model(folder)
    drawn = model.signatures["sample"](count=tf.constant(6), seed=tf.constant([3, 0]), **label)
    np.testing.assert_array_equal(drawn["codes"], vae.prior.sample(6, seed=3))
    np.testing.assert_allclose(drawn["z"], vae.bottleneck.sample(6, seed=3), rtol=1e-6)
    exported = load_exported(folder)
    np.testing.assert_allclose(exported.bottleneck.sample(6, seed=3), drawn["z"])
    chosen = None if labels is None else labels[:6]
    np.testing.assert_allclose(exported.sample(6, seed=3, labels=chosen), vae.decode(drawn["z"], chosen), atol=1e-5)


def test_a_server_refuses_codes_out_of_range(published):
    vae, labels, folder = published
    model = load_saved_model(folder)
    label = {} if labels is None else {"label": tf.constant(labels[:1])}
    for number in (-1, vae.bottleneck.codebook_size):
        codes = tf.fill((1, *vae.bottleneck.code_shape), number)
        with pytest.raises(tf.errors.InvalidArgumentError, match="codes must be in"):
            model.signatures["decode_codes"](codes=codes, **label)


def test_litert_makes_the_same_codes(published):
    vae, labels, folder = published
    names = {path.name for path in (folder / "tflite").iterdir()}
    # The nearest of many codes is no matter for eight bits.
    assert names == {
        *(f"encoder_{precision}.tflite" for precision in ("fp32", "fp16")),
        *(f"decoder_{precision}.tflite" for precision in ("fp32", "fp16", "int8")),
    }
    runner = Interpreter(str(folder / "tflite" / "encoder_fp32.tflite")).get_signature_runner("encode")
    label = {} if labels is None else {"label": labels[:1]}
    found = runner(image=PIXELS[:1], **label)
    chosen = None if labels is None else labels[:1]
    np.testing.assert_array_equal(found["codes"], vae.encode_codes(PIXELS[:1], chosen))
    said = {item["path"]: item for item in read_manifest(folder).tflite}
    assert said["tflite/encoder_fp16.tflite"]["measure"] == "share of codes that differ"


def test_evaluation_of_an_exported_model_counts_its_codes(published):
    vae, labels, folder = published
    split = ArraySplit(IMAGES, labels)
    dataset = ImageDataset("noise", "test", split, split, class_names=None if labels is None else ("a", "b", "c"))
    of_model, of_export = (
        evaluation_report(model, dataset, importance_samples=0, components=2)["metrics"]
        for model in (vae, load_exported(folder))
    )
    for name in ("bits", "perplexity", "used_codes", "kl", "mse"):
        assert of_export[name] == pytest.approx(of_model[name], rel=1e-4), name


def test_a_manifest_of_other_codes_is_refused(published, tmp_path):
    _, _, folder = published
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / NAME).read_text())
    for changes, message in (
        ({"code_shape": [2, 2]}, "its manifest.json belongs to another model"),
        ({"code_shape": None}, "codebook_size and code_shape belong together"),
        ({"codebook_size": 0}, "codebook_size is not a number from 1, or null"),
    ):
        (copy / NAME).write_text(json.dumps(manifest | changes))
        with pytest.raises(InputError, match=message):
            load_exported(copy)


class OnlySamples(CodePrior):
    """Uniform codes without a function of noise."""

    def log_prob(self, codes):
        return keras.ops.zeros(keras.ops.shape(codes)[:1])

    def sample(self, count, seed=None):
        return keras.ops.zeros((count, *self.code_shape), "int32")


def test_a_prior_of_codes_without_draw_is_refused(tmp_path):
    bottleneck = VectorQuantizer(8, prior=OnlySamples(8, (4, 4)))
    vae = VAE(SHAPE, **FEW_LAYERS, latent_shape=(4, 4, 2), bottleneck=bottleneck)
    with pytest.raises(InputError, match="OnlySamples, has no method draw"):
        export_saved_model(vae, tmp_path / "digits", images=IMAGES)
    assert not list(tmp_path.iterdir())
