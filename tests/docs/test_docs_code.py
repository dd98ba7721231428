"""Python in the documents runs as it is printed, and the commands there have valid options and values."""

import importlib
import inspect
import shlex
import sys

import keras
import numpy as np
import pytest
from documents import DOCUMENTS, blocks, commands

from keras_vae.models import VAE
from keras_vae.training import VAETrainer
from keras_vae_cli import main

PYTHON = blocks("python")
COMMANDS = sorted({command for path in DOCUMENTS for command in commands(path) if command.startswith("keras-vae ")})


class AcceptedError(BaseException):
    """The options are valid, and TensorFlow would be started now."""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a run's model in it, where `fit` makes two steps."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "mnist-latent2"
    run.mkdir(parents=True)
    VAE((28, 28, 1), 2, (8, 16), groups=4).save(run / "model.keras")
    original = keras.Model.fit

    def fit(self, *arguments, **named):
        call = inspect.signature(original).bind(self, *arguments, **named)
        call.arguments |= {"epochs": 1, "steps_per_epoch": 2, "verbose": 0}
        self.run_eagerly = True  # two steps take less time than tracing one
        return original(*call.args, **call.kwargs)

    monkeypatch.setattr(keras.Model, "fit", fit)
    return tmp_path


@pytest.mark.parametrize("text", [text for _, text in PYTHON], ids=[name for name, _ in PYTHON])
def test_python_runs(text, workplace):
    if "from tfx import" in text:
        pytest.skip("TFX is not installed; tests/tfx runs this against a stand-in")
    found = {"__name__": "document"}
    exec(compile(text, "document", "exec"), found)
    if isinstance(trainer := found.get("trainer"), VAETrainer) and not trainer.compiled:
        trainer.compile(jit_compile=False, run_eagerly=True)
        logs = trainer.train_on_batch(np.random.default_rng(0).random((4, 28, 28, 1), "float32"), return_dict=True)
        assert np.isfinite(list(logs.values())).all()
        assert logs["skipped_steps"] == 0


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_taken(line, tmp_path, monkeypatch, capsys):
    def start_tensorflow():
        raise AcceptedError

    monkeypatch.chdir(tmp_path)
    for name in (*main.COMMANDS, "training", "runtime"):
        module = importlib.import_module(f"keras_vae_cli.{name.replace('-', '_')}")
        if hasattr(module, "start_tensorflow"):
            monkeypatch.setattr(module, "start_tensorflow", start_tensorflow)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    try:
        code = main._run(False)
    except AcceptedError:
        return
    # The only error left is that the named run or model does not exist.
    message = capsys.readouterr().err.lower()
    assert code == 0 or "no such" in message or "not a run directory" in message, message
