"""Published models by name, and what is said where there is no such model or no network."""

import types
from pathlib import Path

import pytest

from keras_vae.config import PUBLISHED, DataConfig
from keras_vae.data import load_dataset, tfds_prepare
from keras_vae.errors import InputError
from keras_vae_cli import compare, export, runtime, train, verify


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, with no prepared data and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(tfds_prepare, "any_answers", lambda urls, seconds: False)
    return tmp_path


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_is_opened_by_its_name_with_the_data_that_it_was_trained_on(name):
    vae, data = runtime.open_model(Path(name))
    if name.startswith("mnist"):
        assert f"mnist-latent{vae.latent_dim}" == name
        assert (data.dataset, data.crop) == ("mnist", None)
    else:
        assert f"photos-f{vae.image_shape[0] // vae.encoder.latent_shape[0]}" == name
        assert (data.dataset, data.crop) == ("folder:photos", vae.image_shape[0])


def test_what_exists_comes_before_a_published_model_of_that_name(folder):
    (folder / "mnist-latent2").mkdir()
    with pytest.raises(InputError, match="mnist-latent2: is neither a run directory"):
        runtime.open_model(Path("mnist-latent2"))


def test_a_line_tells_the_published_model_from_a_run_of_that_name(folder, capsys):
    (folder / "runs" / "mnist-latent2").mkdir(parents=True)
    runtime.open_model(Path("mnist-latent2"))
    assert capsys.readouterr().err == "mnist-latent2 is the published model; your own run is runs/mnist-latent2\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mnist-latent8", "; did you mean mnist-latent4?"),
        ("mnits-latent16", "; did you mean mnist-latent16?"),
        ("runs/facse", "; did you mean runs/faces?"),
        ("faces", "; did you mean runs/faces?"),
        ("qqq", ""),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_the_published_and_the_nearest(typed, meant, folder):
    (folder / "runs" / "faces").mkdir(parents=True)
    with pytest.raises(InputError) as refused:
        runtime.open_model(Path(typed))
    published = ", ".join(PUBLISHED)
    assert str(refused.value) == (
        f"{typed}: no such run directory, .keras file or exported model, and no published model ({published}){meant}"
    )


def test_a_folder_of_models_is_answered_with_one_that_is_in_it(folder):
    for path in ("runs/a/plots", "runs/b", "exports/digits/7"):
        (folder / path).mkdir(parents=True)
    (folder / "runs" / "b" / "config.json").write_text("{}")
    (folder / "exports" / "digits" / "7" / "saved_model.pb").write_text("")
    for given, meant in (("runs", "runs/b"), ("exports", "exports/digits")):
        with pytest.raises(InputError, match=rf"^{given}: is neither a run directory .*; did you mean {meant}\?$"):
            runtime.open_model(Path(given))
    with pytest.raises(InputError, match=r"nor an exported model$"):
        compare.compare_runs([Path("runs/a")], folder / "comparison")


def test_a_folder_is_no_image(folder):
    with pytest.raises(InputError, match=r"is a folder; name the image files in it, such as .*/\*\.png"):
        runtime.read_image(folder, (28, 28, 1), None)


def test_a_run_directory_stands_for_its_config(folder):
    (folder / "config.json").write_text('{"config": {"epochs": 3}}')
    assert train.describe_run("mnist", folder, {}).epochs == 3


def test_a_folder_that_is_given_as_a_data_set_is_answered_with_how_to_name_it(folder):
    (folder / "photos").mkdir()
    for name in ("photos", "./photos"):
        with pytest.raises(InputError, match=rf"for the images in that folder,.* folder:{name}"):
            load_dataset(name)


def test_without_mnist_and_a_network_the_bundled_digits_are_named_as_the_way_out():
    model = types.SimpleNamespace(image_shape=(28, 28, 1))
    with pytest.raises(InputError, match=r"does not answer; .* use the 5,000 MNIST digits .*: --dataset sample$"):
        runtime.open_dataset(Path("model"), DataConfig(dataset="mnist"), None, None, model)
    with pytest.raises(InputError) as other:
        runtime.open_dataset(Path("model"), DataConfig(dataset="fashion_mnist"), None, None, model)
    assert "--dataset sample" not in str(other.value)  # they are no garments


def test_a_published_model_is_no_run_to_compare(folder):
    with pytest.raises(InputError, match="mnist-latent4: is a published model; compare takes the run directories"):
        compare.compare_runs([Path("mnist-latent4")], folder / "comparison")


def test_a_comparison_is_replaced_only_when_asked(folder, monkeypatch):
    monkeypatch.setattr("keras_vae.reports.runs.check_runs", lambda runs: None)
    (folder / "config.json").write_text("{}")
    (folder / "comparison").mkdir()
    (folder / "comparison" / "comparison.json").write_text("{}")
    with pytest.raises(InputError, match="comparison: holds a comparison already; replace it with --overwrite"):
        compare.compare_runs([folder], folder / "comparison")


def test_onnx_without_its_packages_is_refused_before_any_work(folder, monkeypatch):
    monkeypatch.setattr("keras_vae.export.onnx_packages._PACKAGES", ("no_such_package",))
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text('{"config": {}}')
    with pytest.raises(InputError, match=r"needs no_such_package, which is not installed; pip install 'keras-vae\["):
        export.export_run(folder / "run", folder / "exports", onnx=True)


def test_a_new_version_does_not_go_beside_the_published_models():
    (to,) = (option for option in export.command.params if option.name == "to")
    assert str(to.default) == "exports"


def test_there_is_nothing_to_verify_where_there_is_no_folder():
    with pytest.raises(InputError, match=r"^nowhere: no such folder; verify takes an exported model, such as exports/"):
        verify.command.main(["nowhere"], standalone_mode=False)
