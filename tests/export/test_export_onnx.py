"""ONNX files, run by ONNX Runtime; skipped where the extra is not installed."""

import shutil
import sys

import keras
import numpy as np
import pytest
from exported_models import make_images, make_labels, make_latents

from keras_vae.errors import ExportError, InputError
from keras_vae.export import export_saved_model, onnx
from keras_vae.export.onnx import write_onnx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(conditional_vae, tmp_path_factory):
    """The folder of a conditional model's files, and their measured differences."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    folder = tmp_path_factory.mktemp("onnx")
    return folder / "onnx", write_onnx(conditional_vae, folder)


def run(path, **inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def test_the_files_are_measured_against_keras(written):
    assert written[1].keys() == {"encoder.onnx", "decoder.onnx"}
    assert all(0 <= difference <= bound == onnx.BOUND for difference, bound in written[1].values())


@pytest.mark.parametrize("count", [1, 5])
def test_onnx_runtime_answers_by_name_as_keras_does(written, conditional_vae, count):
    images, labels, z = make_images(count), make_labels(count), make_latents(count)
    mean, log_var = conditional_vae.encode(images, labels)

    posterior = run(written[0] / "encoder.onnx", image=images, label=labels)
    decoded = run(written[0] / "decoder.onnx", z=z, label=labels)

    assert posterior.keys() == {"mean", "log_var"}
    np.testing.assert_allclose(posterior["mean"], mean, atol=1e-4)
    np.testing.assert_allclose(posterior["log_var"], log_var, atol=1e-4)
    np.testing.assert_allclose(decoded["image"], conditional_vae.decode(z, labels), atol=1e-4)


def test_a_file_beyond_its_bound_is_refused(written, conditional_vae, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "BOUND", -1.0)
    monkeypatch.setattr(onnx, "_export", lambda *arguments: shutil.copy(written[0] / arguments[-1].name, arguments[-1]))
    with pytest.raises(ExportError, match=r"^encoder.onnx: largest difference from the Keras model .*, bound -1"):
        write_onnx(conditional_vae, tmp_path)


def test_the_copies_of_a_large_model_are_collected_while_it_is_converted(exported_vae, tmp_path, monkeypatch):
    optimizer_base = pytest.importorskip("tf2onnx.optimizer.optimizer_base")
    before, collected = optimizer_base.GraphOptimizerBase.optimize, []
    monkeypatch.setattr(onnx.gc, "collect", lambda: collected.append(1))
    monkeypatch.setattr(onnx, "_MOST_COPIED", 0)
    onnx._export(exported_vae, "decode", {"z": keras.Input(exported_vae.latent_shape, name="z")}, tmp_path / "d.onnx")
    assert len(collected) > 10
    assert optimizer_base.GraphOptimizerBase.optimize is before


@pytest.mark.parametrize("package", ["tf2onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_what_installs_it(exported_vae, tmp_path, monkeypatch, package):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    monkeypatch.setitem(sys.modules, package, None)
    advice = rf"ONNX export needs {package}, which is not installed; pip install 'keras-vae\[onnx\]'"
    with pytest.raises(InputError, match=advice):
        write_onnx(exported_vae, tmp_path)
    with pytest.raises(InputError, match=advice):  # before anything is written
        export_saved_model(exported_vae, tmp_path / "model", images=make_images(2), onnx=True)
    assert not any(tmp_path.iterdir())
