"""Training that is stopped at any step and resumed, compared with an unbroken one."""

import csv
import dataclasses
import json
import os
import signal

import keras
import numpy as np
import pytest
from noise_images import BATCH, EPOCHS, MODEL, TRAINING

from keras_vae.callbacks import Checkpoints, StopSignals, fit_run
from keras_vae.callbacks import standard as standard_callbacks
from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit
from keras_vae.errors import TrainingError, TrainingStoppedError
from keras_vae.training import RunDirectory, build_trainer
from keras_vae.training.checkpoint_interval import CheckpointInterval
from keras_vae.training.checkpoints import Position, list_checkpoints, restore_checkpoint

pytestmark = pytest.mark.slow

STEPS = TRAINING // BATCH
CONFIG = RunConfig().replace(
    epochs=EPOCHS,
    **MODEL,
    model__widths=(8,),
    discriminator__widths=(8,),
    objective__perceptual_weight=0,
    data__batch_size=BATCH,
)


@pytest.fixture(scope="module", autouse=True)
def _without_pictures():
    """Drawing takes most of the time, and draws what is compared anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_vae.callbacks.pictures.Pictures.on_train_end", lambda self, logs=None: None)
        patch.setattr("keras_vae.callbacks.tensorboard.TensorBoardSummaries._may_draw", lambda self, epoch: False)
        yield


@pytest.fixture(scope="module")
def dataset(dataset):
    """The first test images alone, as many as a batch has."""
    return dataclasses.replace(dataset, test=ArraySplit(*dataset.test.first(BATCH)))


def build():
    trainer = build_trainer(CONFIG, STEPS)
    trainer.run_eagerly = True
    return trainer


def rows_of(run):
    """metrics.csv as text, without the times."""
    with open(run.metrics, encoding="utf-8") as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]


def frames_of(run):
    found = {}
    for path in sorted(run.frames.iterdir()):
        with np.load(path) as arrays:
            found |= {f"{path.name} {name}": arrays[name] for name in arrays.files}
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, dataset):
    """A run with fewer epochs than its interval between checkpoints, and its trainer."""
    run = RunDirectory.create(tmp_path_factory.mktemp("unbroken") / "run")
    trainer = build()
    fit_run(run, CONFIG, dataset, trainer, interval=CheckpointInterval(7, None))
    return run, trainer


class StopAfter(keras.callbacks.Callback):
    """Sends this process a signal in one step of the whole training, counted from 1."""

    def __init__(self, step, number):
        super().__init__()
        self.step, self.number = step, number

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.step) + 1 == self.step:
            os.kill(os.getpid(), self.number)


def fit_until(run, dataset, step, monkeypatch, number=signal.SIGTERM):
    original = standard_callbacks.run_callbacks
    monkeypatch.setattr(
        standard_callbacks,
        "run_callbacks",
        lambda *given, **named: [StopAfter(step, number), *original(*given, **named)],
    )
    with pytest.raises(TrainingStoppedError) as stopped:
        fit_run(run, CONFIG, dataset, build())
    monkeypatch.setattr(standard_callbacks, "run_callbacks", original)
    return stopped.value


@pytest.mark.parametrize("step", range(1, EPOCHS * STEPS + 1))
def test_training_that_a_signal_stopped_after_any_step_ends_as_if_it_had_not(
    step, unbroken, dataset, tmp_path, monkeypatch, capfd
):
    expected_run, expected = unbroken
    run = RunDirectory.create(tmp_path / "run")

    stopped = fit_until(run, dataset, step, monkeypatch)

    assert stopped.signal_number == signal.SIGTERM
    epochs, steps = divmod(step, STEPS)
    assert str(stopped) == f"stopped after {Position(epochs, steps)}"
    assert "stopping after this step" in capfd.readouterr().err
    assert list_checkpoints(run.checkpoints)[-1].position == (epochs, steps)

    trainer = build()
    start = restore_checkpoint(trainer, run.checkpoints, pytest.fail)
    fit_run(run, CONFIG, dataset, trainer, start=start)

    assert rows_of(run) == rows_of(expected_run)
    frames, expected_frames = frames_of(run), frames_of(expected_run)
    assert frames.keys() == expected_frames.keys()
    assert all(np.array_equal(frames[name], expected_frames[name]) for name in frames)
    for weight, expected_weight in zip(trainer.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(weight, expected_weight, err_msg=weight.path)


def test_signals_are_handled_as_before_once_training_is_over():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_are_handled_as_before_while_the_pictures_are_drawn(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with StopSignals() as stop:
        Checkpoints(tmp_path, stop=stop).on_train_end()
        assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk_is_one_line_with_the_last_checkpoint(dataset, tmp_path, monkeypatch):
    run = RunDirectory.create(tmp_path / "run")
    original = RunDirectory.write_metrics

    def write_once(self, rows):
        if len(rows) > 1:
            raise OSError(28, "No space left on device", str(self.metrics))
        original(self, rows)

    monkeypatch.setattr(RunDirectory, "write_metrics", write_once)

    with pytest.raises(TrainingError) as failed:
        fit_run(run, CONFIG, dataset, build())

    assert str(failed.value) == (f"{run.metrics}: No space left on device; the last complete checkpoint is epoch 1")
    assert restore_checkpoint(build(), run.checkpoints, pytest.fail) == (1, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", CheckpointInterval(5, None)),
        ("30min", CheckpointInterval(None, 30.0)),
        ("0.5min", CheckpointInterval(None, 0.5)),
    ],
)
def test_an_interval_is_of_epochs_or_of_minutes(text, expected):
    assert CheckpointInterval.parse(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "0min", "min", "5 h", "", "nan"])
def test_other_intervals_are_refused(text):
    with pytest.raises(ValueError, match="checkpoint-every must be a number of epochs, such as 5, or minutes"):
        CheckpointInterval.parse(text)


def test_checkpoints_come_after_the_last_epoch_of_a_run_shorter_than_the_interval(unbroken):
    run, _ = unbroken
    (checkpoint,) = list_checkpoints(run.checkpoints)
    assert checkpoint.position == Position(EPOCHS)
    assert isinstance(json.loads((checkpoint.path / "checkpoint.json").read_text())["elbo"], float)


def test_checkpoints_come_at_the_interval(dataset, tmp_path, monkeypatch):
    run = RunDirectory.create(tmp_path / "run")
    written = []
    monkeypatch.setattr(
        "keras_vae.callbacks.checkpoint.save_checkpoint",
        lambda trainer, folder, position, *, elbo: written.append((position, elbo is not None)),
    )
    fit_run(run, CONFIG, dataset, build(), interval=CheckpointInterval(None, 1e-9))
    every_step = [Position(0, 1), Position(1), Position(1, 1), Position(2)]
    assert written == [(position, position.steps == 0) for position in every_step]
