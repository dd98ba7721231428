"""Publishing a model: what a version contains, and what prevents its publication."""

import numpy as np
import pytest
from stand_ins import EVALUATION

from keras_vae.errors import ExportError, InputError
from keras_vae.export import export as exporting
from keras_vae.export.export import SIGNATURE_BOUND, export_saved_model
from keras_vae.export.loading import SIGNATURES, load_exported
from keras_vae.export.manifest import check_manifest
from keras_vae.export.tflite import TFLiteVariant
from keras_vae.models import VAE

pytestmark = pytest.mark.slow

SHAPE = (12, 12, 3)


@pytest.fixture(scope="module")
def vae():
    few_layers = {"attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
    return VAE(SHAPE, 2, (8,), groups=4, num_heads=1, num_classes=3, **few_layers)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def labels():
    return np.arange(6, dtype=np.int32) % 3


def write_tflite_files(vae, folder, images, labels, *, float_io):
    """Replaces the converter, which has its own tests."""
    assert images.dtype == np.float32
    assert images.max() <= 1
    assert len(labels) == len(images)
    folder.mkdir()
    path = folder / "encoder_int8.tflite"
    path.write_bytes(b"model")
    return [TFLiteVariant("encoder", "int8", path, 5, 100, "mean absolute difference of decoded pixels", 0.01, 0.02)]


@pytest.fixture(scope="module")
def published(vae, images, labels, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exporting, "write_tflite", write_tflite_files)
        root = tmp_path_factory.mktemp("saved_models") / "digits"
        return export_saved_model(vae, root, images=images, labels=labels, version=3, evaluation=EVALUATION)


def test_a_version_has_the_layout_that_servers_read(published):
    files = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    assert files >= {
        "saved_model.pb",
        "variables/variables.index",
        "assets.extra/tf_serving_warmup_requests",
        "tflite/encoder_int8.tflite",
        "manifest.json",
        "MODEL_CARD.md",
    }
    assert [path.name for path in published.parent.iterdir()] == ["3"]


def test_the_manifest_says_what_was_exported_and_measured(published, vae):
    manifest = check_manifest(published)
    assert (manifest.name, manifest.version) == ("digits", 3)
    assert (manifest.image_shape, manifest.latent_dim, manifest.num_classes) == (SHAPE, 2, 3)
    assert manifest.parameters["total"] == vae.count_params()
    assert manifest.signatures.keys() == set(SIGNATURES)
    assert all(0 <= said["difference"] <= said["bound"] == SIGNATURE_BOUND for said in manifest.signatures.values())
    assert manifest.tflite[0]["path"] == "tflite/encoder_int8.tflite"
    assert manifest.tflite[0]["measure"] == "mean absolute difference of decoded pixels"
    assert manifest.evaluation == EVALUATION


def test_a_conditional_model_comes_back_whole(published, vae, images, labels):
    pixels = images.astype("float32") / 255
    found = load_exported(published).reconstruct(pixels, labels)
    np.testing.assert_allclose(found, vae.reconstruct(pixels, labels), atol=1e-5)


def test_a_model_of_mixed_precision_is_exported_in_float32(vae, images, labels, tmp_path, monkeypatch):
    mixed = VAE.from_config({**vae.get_config(), "dtype": "mixed_bfloat16"})
    written = []

    def stop(model, folder, scorer):
        written.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "write_saved_model", stop)
    with pytest.raises(KeyboardInterrupt):
        export_saved_model(mixed, tmp_path / "digits", images=images, labels=labels)
    assert written[0].compute_dtype == "float32"
    np.testing.assert_array_equal(written[0].get_weights()[0], mixed.get_weights()[0])
    assert mixed.compute_dtype == "bfloat16"


def test_a_model_that_computes_something_else_is_not_published(vae, images, labels, tmp_path, monkeypatch):
    other = VAE.from_config(vae.get_config())
    other.set_weights([weight + 1e-3 for weight in vae.get_weights()])
    write = exporting.write_saved_model
    monkeypatch.setattr(exporting, "write_saved_model", lambda vae, folder, scorer: write(other, folder, scorer))
    with pytest.raises(ExportError, match="of the SavedModel differs from the Keras model"):
        export_saved_model(vae, tmp_path / "digits", images=images, labels=labels, tflite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": np.zeros((3, *SHAPE), "float32")}, "images must be uint8"),
        ({"images": np.zeros((3, 12, 12, 1), "uint8")}, "images must be uint8"),
        ({"images": np.zeros((0, *SHAPE), "uint8")}, "images must be uint8"),
        ({"labels": None}, "give labels with the images"),
    ],
)
def test_images_that_do_not_fit_the_model_are_refused(vae, images, labels, tmp_path, given, message):
    with pytest.raises(InputError, match=message):
        export_saved_model(vae, tmp_path / "digits", **{"images": images, "labels": labels, **given})
    assert list(tmp_path.iterdir()) == []
