"""What doctor finds missing, and what it says to do."""

import json
import types

import pytest

from keras_vae_cli import doctor


@pytest.fixture
def advice(monkeypatch, capsys, tmp_path):
    """``advice(*options)`` in an environment without data of TFDS; the findings are left in ``advice.findings``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))

    def run(*options):
        capsys.readouterr()
        doctor.command.main(["--json", *options], standalone_mode=False)
        run.findings = json.loads(capsys.readouterr().out)
        return run.findings["advice"]

    return run


def test_nothing_is_downloaded_and_missing_data_are_explained(advice, monkeypatch, tmp_path):
    monkeypatch.setattr("keras_vae.data.tfds_source.prepare", lambda *arguments: pytest.fail("downloads"))
    (line,) = [line for line in advice() if "MNIST" in line]
    assert "--data-dir" in line
    assert advice.findings["data"].endswith(f"MNIST is not prepared in {tmp_path / 'data'}")
    assert list(tmp_path.iterdir()) == []


def test_a_data_dir_that_is_a_file_is_named(advice, tmp_path):
    (tmp_path / "file").write_text("")
    assert any(f"{tmp_path / 'file'}: is not a directory" in line for line in advice("--data-dir", tmp_path / "file"))


def test_versions_that_do_not_go_together_are_named(advice, monkeypatch):
    monkeypatch.setattr(
        "keras_vae.training.requirements.unmet_requirements",
        lambda: ["keras-vae needs keras>=3.15, but 3.1 is installed"],
    )
    assert advice()[0].startswith("keras-vae needs keras>=3.15, but 3.1 is installed: pip install keras-vae,")


def test_software_that_cannot_be_imported_is_explained(advice, monkeypatch):
    def fail():
        raise ImportError("libtensorflow_framework.so.2: cannot open shared object file")

    monkeypatch.setattr(doctor, "start_tensorflow", fail)
    assert "libtensorflow_framework.so.2" in advice()[-1]
    assert advice.findings["versions"]["keras-vae"]


def test_little_free_disk_is_said(advice, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5 * 10**8))
    assert any(line.startswith("little disk is free here") for line in advice())
    assert advice.findings["disk"] == "0.5 GB free here"


@pytest.mark.parametrize(
    ("environment", "is_cuda_build", "words"),
    [
        ({"CUDA_VISIBLE_DEVICES": "-1"}, True, "CUDA_VISIBLE_DEVICES=-1 hides the GPU"),
        ({}, False, "built without CUDA"),
        ({}, True, "pip install 'keras-vae[gpu]'"),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see_is_explained(
    advice, monkeypatch, tmp_path, environment, is_cuda_build, words
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tensorflow.sysconfig.get_build_info", lambda: {"is_cuda_build": is_cuda_build})
    monkeypatch.setattr(doctor, "_NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr("keras_vae.training.device.gpus", list)
    assert any(words in line for line in advice())


def test_without_a_gpu_there_is_nothing_to_say_of_one(advice, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_NVIDIA_DRIVER", tmp_path / "nowhere")
    monkeypatch.setattr("keras_vae.training.device.gpus", list)
    assert not any("GPU" in line for line in advice())
