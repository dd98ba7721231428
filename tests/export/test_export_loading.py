"""A published version used like the model that it was exported from, in Python and by the commands."""

import shutil

import numpy as np
import pytest
from PIL import Image
from stand_ins import make_manifest

from keras_vae.errors import InputError
from keras_vae.export.loading import load_exported
from keras_vae.export.manifest import write_manifest
from keras_vae.export.signatures import write_saved_model
from keras_vae.models import VAE
from keras_vae.training.likelihood import importance_sampled_nll
from keras_vae_cli import encode, export, interpolate, reconstruct, runtime, sample

pytestmark = pytest.mark.slow

SHAPE = (28, 28, 1)
# Files of models with more layers take longer to write and to read.
FEW_LAYERS = {"widths": (8,), "groups": 4, "num_heads": 1, "mapping_layers": 1, "attention_resolution": 0}
SAMPLE = {"name": "mnist-sample", "source": "sample"}


def write_version(folder, vae, **changes):
    write_saved_model(vae, folder)
    facts = {"num_classes": vae.num_classes, "latent_shape": vae.latent_shape, "data": SAMPLE}
    write_manifest(folder, make_manifest(**facts | changes))


@pytest.fixture(scope="module")
def vae():
    model = VAE(SHAPE, 3, **FEW_LAYERS, context_tokens=2)
    model.likelihood_scale.assign(0.187)
    return model


@pytest.fixture(scope="module")
def published(vae, tmp_path_factory):
    root = tmp_path_factory.mktemp("saved_models") / "digits"
    for version in ("9", "10"):
        (root / version).mkdir(parents=True)
    write_version(root / "10", vae, version=10)
    return root


@pytest.fixture(scope="module")
def exported(published):
    return load_exported(published / "10")


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(5, *SHAPE)).astype("float32")


def test_it_has_the_properties_of_the_model(vae, exported):
    for name in ("image_shape", "latent_dim", "latent_shape", "num_classes", "variational", "likelihood"):
        assert getattr(exported, name) == getattr(vae, name), name
    assert exported.likelihood_scale == pytest.approx(float(vae.likelihood_scale))


def test_it_computes_what_the_model_computes(vae, exported, images):
    z = np.random.default_rng(1).standard_normal((4, 3)).astype("float32")
    for found, expected in (
        (exported.encode(images), vae.encode(images)),
        (exported.decode(z), vae.decode(z)),
        (exported.reconstruct(images), vae.reconstruct(images)),
        # The same seed draws the same z, through Keras or not.
        (exported.sample(3, seed=7), vae.sample(3, seed=7)),
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(np.asarray(exported.sample(2)), axis=0).max() > 0


def test_it_is_measured_as_the_model_is(vae, exported, images):
    nll = importance_sampled_nll(exported, images, 3)
    np.testing.assert_allclose(nll, importance_sampled_nll(vae, images, 3), rtol=1e-4)


def test_a_conditional_model_needs_labels(tmp_path):
    model = VAE(SHAPE, 2, **FEW_LAYERS, num_classes=4)
    write_version(tmp_path, model)
    exported = load_exported(tmp_path)
    z, labels = np.zeros((4, 2), "float32"), np.arange(4)
    np.testing.assert_allclose(exported.decode(z, labels), model.decode(z, labels), atol=1e-5)
    with pytest.raises(ValueError, match="conditional on 4 classes"):
        exported.decode(z)


def test_a_model_that_was_tampered_with_is_not_loaded(published, tmp_path):
    copy = shutil.copytree(published / "10", tmp_path / "10")
    with (copy / "variables" / "variables.data-00000-of-00001").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    with pytest.raises(InputError, match=r"variables\.data-00000-of-00001 was changed"):
        load_exported(copy)


@pytest.mark.parametrize(
    "facts", [{"latent_shape": (4,)}, {"latent_shape": (1, 1, 3)}, {"image_shape": (32, 32, 1)}, {"num_classes": 10}]
)
def test_a_manifest_of_another_model_is_refused(published, tmp_path, facts):
    copy = shutil.copytree(published / "10", tmp_path / "10")
    write_manifest(copy, make_manifest(**{"latent_shape": (3,), **facts}))
    with pytest.raises(InputError, match=r"its manifest\.json belongs to another model"):
        load_exported(copy)


def test_a_saved_model_that_is_damaged_gets_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 50)
    write_manifest(tmp_path, make_manifest())
    with pytest.raises(InputError, match="cannot be read"):
        load_exported(tmp_path)


@pytest.fixture
def run_on(published, tmp_path, monkeypatch):
    """Runs a command on the exported model, which must be found as the newest version."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "start_tensorflow", lambda: None)  # TensorFlow is running, with the tests' settings

    def run(module, *arguments):
        module.command.main([str(published), *map(str, arguments)], standalone_mode=False)

    return run


def test_commands_take_the_newest_version_of_a_model(run_on, vae, tmp_path):
    Image.fromarray(np.full((28, 28), 99, np.uint8)).save(tmp_path / "grey.png")
    run_on(reconstruct, "grey.png")
    run_on(sample, "--count", 4, "--seed", 1)
    run_on(interpolate, "--pairs", 2, "--steps", 3)
    for name in ("reconstructions.png", "samples.png", "interpolation.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.mode == "RGB"


def test_encode_finds_the_data_that_the_manifest_names(run_on, vae, tmp_path, capsys):
    run_on(encode, "--out", "latents.npz")
    assert "500 posteriors of mnist-sample" in capsys.readouterr().out
    with np.load(tmp_path / "latents.npz") as arrays:
        assert arrays["mean"].shape == (500, 3)


def test_data_that_lay_in_a_folder_are_not_guessed_at(published, tmp_path, run_on):
    copy = shutil.copytree(published / "10", tmp_path / "1")
    write_manifest(copy, make_manifest(latent_shape=(3,), data={"name": "letters", "source": "idx"}))
    with pytest.raises(InputError, match="letters"):
        encode.command.main([str(tmp_path / "1")], standalone_mode=False)


def test_what_is_exported_is_not_exported_again(run_on):
    with pytest.raises(InputError, match="is exported already"):
        run_on(export)
