"""Runs that end early, go on and are trained longer, in this process and on data that are made up."""

import csv
import shutil

import numpy as np
import pytest

from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError, TrainingStoppedError
from keras_vae.training import RunDirectory, VAETrainer
from keras_vae_cli import train, training

pytestmark = pytest.mark.slow

IMAGES, SHAPE = 12, (12, 12, 1)
CONFIG = RunConfig().replace(
    epochs=2,
    precision="float32",
    model__image_shape=SHAPE,
    model__widths=(8,),
    model__groups=4,
    model__mapping_layers=0,
    model__attention_resolution=0,
    model__generative_skips=False,
    objective__perceptual_weight=0,
    objective__adversarial_weight=0,
    optimizer__learning_rate_warmup=0,
    data__batch_size=6,
)
STEPS = IMAGES // CONFIG.data.batch_size


def make_split(count, seed):
    return ArraySplit(np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8), None)


def stand_in(patch):
    """Made-up data, steps that run eagerly, since tracing two takes longer, and no pictures: drawing takes longest."""
    dataset = ImageDataset("noise", "sample", make_split(IMAGES, 0), make_split(4, 1))
    patch.setattr(training, "_load_dataset", lambda config, meanwhile=None: dataset)
    patch.setattr(
        "keras_vae.callbacks.pictures.Pictures.on_train_end", lambda self, logs=None: self.run.mark_finished()
    )
    patch.setattr("keras_vae.callbacks.tensorboard.TensorBoardSummaries._may_draw", lambda self, epoch: False)
    fit = VAETrainer.fit

    def fit_eagerly(self, *arguments, **named):
        self.run_eagerly = True
        return fit(self, *arguments, **named)

    patch.setattr(VAETrainer, "fit", fit_eagerly)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch):
    stand_in(monkeypatch)


def rows_of(run):
    with open(run.metrics, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def contents_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def resume(folder, *options):
    return train.command.main(["--resume", "--run-dir", str(folder), *map(str, options)], standalone_mode=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs, trained without a break."""
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        path = tmp_path_factory.mktemp("runs") / "finished"
        training.start_run(CONFIG, path)
    return RunDirectory(path)


@pytest.fixture
def copy(finished, tmp_path):
    return RunDirectory(shutil.copytree(finished.path, tmp_path / "run"))


def test_a_run_without_a_checkpoint_begins_at_the_beginning_and_ends_as_an_unbroken_one(finished, tmp_path, capsys):
    """As a process leaves it that is killed when config.json is there and nothing else."""
    run = RunDirectory.create(tmp_path / "run", finished.read_config(), finished.read_recorded())
    for folder in (run.frames.parent, run.tensorboard, run.plots):
        shutil.rmtree(folder)

    resume(run.path)

    assert "there is no checkpoint yet: starting from the beginning" in capsys.readouterr().err
    assert rows_of(run) == rows_of(finished)
    assert run.finished_epochs() == CONFIG.epochs


def test_a_folder_in_which_no_training_began_says_so(tmp_path):
    """As a process leaves it that is killed while it writes config.json."""
    (tmp_path / f".{'0' * 32}.config.json").write_text("{")
    with pytest.raises(InputError, match="no training has begun here; start it without --resume"):
        resume(tmp_path)
    run = RunDirectory.create(tmp_path, CONFIG)
    assert run.read_config() == CONFIG


def test_a_finished_run_says_so_and_nothing_changes(copy, capsys, monkeypatch):
    monkeypatch.setattr(training, "_start", lambda *arguments: pytest.fail("TensorFlow was started"))
    copy.write_evaluation({"mse": 0.1})
    before = contents_of(copy.path)

    resume(copy.path)
    resume(copy.path, "--epochs", 2)

    assert contents_of(copy.path) == before
    line = f"{copy.path}: finished at epoch 2 and stays as it is; train it longer with --epochs 4"
    assert capsys.readouterr().out.count(line) == 2


def test_a_run_that_was_killed_while_it_drew_is_finished(copy):
    copy.write_summary({**copy.read_summary(), "finished": False})
    copy.write_evaluation({"mse": 0.1})
    resume(copy.path)
    assert copy.finished_epochs() == 2


def test_more_epochs_train_a_finished_run_longer_by_the_longer_schedule(copy, finished):
    copy.write_evaluation({"mse": 0.1})

    resume(copy.path, "--epochs", 4)

    rows = rows_of(copy)
    assert rows[:2] == rows_of(finished)
    # Half a cosine over all four epochs (Loshchilov & Hutter 2017), in float32.
    peak, steps = CONFIG.optimizer.learning_rate, 4 * STEPS
    for epoch in (3, 4):
        expected = peak * 0.5 * (1 + np.cos(np.pi * epoch * STEPS / steps))
        assert float(rows[epoch - 1]["train_learning_rate"]) == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert copy.finished_epochs() == copy.read_config().epochs == 4
    assert copy.read_recorded()["changes"] == [{"after": "epoch 2", "epochs_before": 2, "epochs": 4}]
    assert copy.read_evaluation() is None  # it was of the former model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", 1), "has been trained up to epoch 2 already; --epochs must be at least 2"),
        (("--epochs", 0), "epochs must be at least 1, got 0"),
        (("--epochs", 4, "--latent", 3), "the only setting it takes is --epochs"),
        (("--preset", "mnist"), "the only setting it takes is --epochs"),
    ],
)
def test_a_run_is_not_resumed_with_fewer_epochs_or_other_settings(options, message, copy):
    before = contents_of(copy.path)
    with pytest.raises(InputError, match=message):
        resume(copy.path, *options)
    assert contents_of(copy.path) == before


def test_a_finished_run_without_checkpoints_is_not_begun_anew(copy):
    for checkpoint in copy.checkpoints.glob("epoch_*"):
        for path in checkpoint.iterdir():
            path.unlink()
        checkpoint.rmdir()
    before = contents_of(copy.path)
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        resume(copy.path, "--epochs", 4)
    assert contents_of(copy.path) == before


def stop_in(monkeypatch, step, error):
    """Let training end with ``error`` in that step, counted from 0."""

    def end(self, batch, logs=None):
        if batch == step:
            raise error

    monkeypatch.setattr("keras_vae.callbacks.figures.StepFigures.on_train_batch_begin", end, raising=False)


def a_new(error):
    """The same error, for this test alone: a parameter stays, and with its traceback so would the trainer."""
    return type(error)(*error.args)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("a file is damaged"), RuntimeError("out of memory")])
def test_a_run_that_made_no_step_leaves_nothing(error, tmp_path, monkeypatch, capsys):
    stop_in(monkeypatch, 0, a_new(error))
    with pytest.raises(type(error)):
        training.start_run(CONFIG, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert "--resume" not in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("a file is damaged")])
def test_a_run_that_made_a_step_is_kept_and_says_how_to_go_on(error, tmp_path, monkeypatch, capsys):
    stop_in(monkeypatch, 1, a_new(error))
    with pytest.raises(type(error)):
        training.start_run(CONFIG, tmp_path / "run")
    assert RunDirectory(tmp_path / "run").read_config() == CONFIG.replace(data__dataset="sample")
    assert f"go on with: keras-vae train --resume --run-dir {tmp_path / 'run'}" in capsys.readouterr().err


def test_what_ends_training_in_one_line_says_how_to_go_on(tmp_path, monkeypatch):
    stop_in(monkeypatch, 1, TrainingStoppedError("stopped", 15))
    with pytest.raises(TrainingStoppedError, match="stopped; go on with: keras-vae train --resume --run-dir"):
        training.start_run(CONFIG, tmp_path / "run")


def test_a_batch_that_is_larger_than_the_data_is_taken_down_and_recorded(tmp_path, monkeypatch, capsys):
    stop_in(monkeypatch, 0, TrainingStoppedError("stopped", 15))
    kept = []
    monkeypatch.setattr(RunDirectory, "remove", lambda run: kept.append(run.read_config().data.batch_size))

    with pytest.raises(TrainingStoppedError):
        training.start_run(CONFIG.replace(data__batch_size=128), tmp_path / "run")

    assert kept == [IMAGES]
    assert "batch size reduced from 128 to 12: there are 12 training images" in capsys.readouterr().err


def test_a_batch_size_that_was_asked_for_and_is_too_large_is_refused(tmp_path):
    with pytest.raises(InputError, match="batch-size must be at most the 12 training images"):
        train.command.main(["--batch-size", "13", "--run-dir", str(tmp_path / "run")], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "parts", "expected"), [(12, 1, 12), (13, 4, 12), (3, 4, 128), (500, 1, 128)])
def test_a_batch_is_taken_down_to_what_replicas_and_passes_divide(count, parts, expected):
    fitting = training._with_fitting_batch(CONFIG.replace(data__batch_size=128), count, parts)
    assert fitting.data.batch_size == expected
