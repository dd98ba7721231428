"""Python in the documents runs as it is printed, and the commands there have valid options and values."""

import importlib
import inspect
import shlex
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from documents import DOCUMENTS, blocks, commands

from keras_vae.models import VAE
from keras_vae.scoring import Scorer
from keras_vae.training import VAETrainer
from keras_vae_cli import main

pytestmark = pytest.mark.slow

PYTHON = blocks("python")
COMMANDS = sorted({command for path in DOCUMENTS for command in commands(path) if command.startswith("keras-vae ")})


FEW = 4


def few(data):
    """The first images of each batch of a data set, or of arrays."""

    def leading(*parts):
        return keras.tree.map_structure(lambda part: part[:FEW], parts if len(parts) > 1 else parts[0])

    return data.map(leading) if isinstance(data, tf.data.Dataset) else leading(data)


class AcceptedError(BaseException):
    """The options are valid, and TensorFlow would be started now."""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    VAE((28, 28, 1), 2, (8, 16), groups=4).save(path)
    return path


@pytest.fixture
def workplace(model_file, tmp_path, monkeypatch):
    """A folder with a run's model in it, where `fit` makes two steps, and few images are used."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "mnist-latent2"
    run.mkdir(parents=True)
    shutil.copy(model_file, run)
    originals = {name: getattr(keras.Model, name) for name in ("fit", "evaluate", "predict")}

    def fit(self, *arguments, **named):
        call = inspect.signature(originals["fit"]).bind(self, *arguments, **named)
        call.arguments |= {"epochs": 1, "steps_per_epoch": 2, "verbose": 0}
        if "batch_size" in call.arguments:
            call.arguments["batch_size"] = FEW
        else:
            call.arguments["x"] = few(call.arguments["x"])
        if "validation_data" in call.arguments:
            call.arguments["validation_data"] = few(call.arguments["validation_data"])
        self.run_eagerly = True  # two steps take less time than tracing one
        return originals["fit"](*call.args, **call.kwargs)

    monkeypatch.setattr(keras.Model, "fit", fit)
    for name in ("evaluate", "predict"):

        def call(self, x, *rest, original=originals[name], **named):
            # A rate of false alarms takes a number of images.
            return original(self, x if isinstance(self, Scorer) else few(x), *rest, **named)

        monkeypatch.setattr(keras.Model, name, call)
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
