"""The run directory: never taken twice, read back as written, and readable without TensorFlow."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory, read_config


def assert_refused(action, *words):
    with pytest.raises(InputError) as refused:
        action()
    message = str(refused.value)
    assert "\n" not in message
    assert "(None)" not in message
    for word in words:
        assert word in message


@pytest.fixture
def run(tmp_path):
    """A run that has begun."""
    run = RunDirectory.create(tmp_path / "run")
    run.write_config(RunConfig(epochs=3), {"data": {"name": "digits"}})
    return run


def test_create_makes_the_folders(tmp_path):
    run = RunDirectory.create(tmp_path / "runs" / "digits")
    assert all(folder.is_dir() for folder in (run.checkpoints, run.frames, run.tensorboard, run.plots))
    assert not run.is_run()


def test_create_takes_an_empty_folder(tmp_path):
    assert RunDirectory.create(tmp_path).plots.is_dir()


def test_an_existing_run_is_refused_unless_it_is_to_be_overwritten(run):
    run.write_metrics([{"epoch": 1}])
    assert_refused(lambda: RunDirectory.create(run.path), "--resume", "--overwrite")
    assert run.metrics.exists()

    again = RunDirectory.create(run.path, overwrite=True)

    assert not again.metrics.exists()
    assert not again.is_run()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_touched(overwrite, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert_refused(lambda: RunDirectory.create(tmp_path, overwrite=overwrite), "exists and is not a run")
    assert_refused(lambda: RunDirectory.create(tmp_path / "thesis.tex", overwrite=overwrite), "is not a run")
    assert_refused(lambda: RunDirectory.create(tmp_path / "thesis.tex" / "run", overwrite=overwrite), "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert len(list(tmp_path.iterdir())) == 1


def test_check_free_changes_nothing(tmp_path, run):
    RunDirectory(tmp_path / "new").check_free()
    RunDirectory(run.path).check_free(overwrite=True)
    assert_refused(RunDirectory(run.path).check_free, "there is a run already")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert run.is_run()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_cannot_be_made_leaves_nothing(overwrite, tmp_path, monkeypatch):
    original = Path.mkdir

    def fail_at_plots(self, *arguments, **options):
        if self.name == "plots":
            raise OSError(28, "No space left on device")
        original(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", fail_at_plots)
    assert_refused(lambda: RunDirectory.create(tmp_path / "run", overwrite=overwrite), "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_refused(tmp_path):
    for action in (RunDirectory.create, RunDirectory.open):
        assert_refused(lambda action=action: action(tmp_path / ("x" * 300)), "xxx")


def test_a_link_to_a_run_is_not_deleted(tmp_path, run):
    link = tmp_path / "latest"
    link.symlink_to(run.path)
    assert_refused(lambda: RunDirectory.create(link, overwrite=True), "latest")
    assert run.is_run()


def test_open_takes_a_run_and_nothing_else(tmp_path, run):
    assert RunDirectory.open(run.path).read_config() == RunConfig(epochs=3)
    for path in (tmp_path, tmp_path / "nowhere", run.config):
        assert_refused(lambda path=path: RunDirectory.open(path), "not a run directory", "config.json")


def test_remove_deletes_the_run(run):
    run.remove()
    assert not run.path.exists()
    run.remove()


def test_the_description_and_what_was_recorded_are_read_back(run):
    config = RunConfig().replace(seed=7, model__latent_dim=16, objective__beta=0.5, model__num_classes=10)
    recorded = {"data": {"name": "mnist", "sha256": {"train": "ab", "test": None}}, "gpus": []}

    run.write_config(config, recorded)

    assert run.read_config() == config
    assert run.read_recorded() == recorded


def test_a_file_with_the_description_alone_is_read_too(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 4}')
    assert read_config(path) == RunConfig(epochs=4)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", '{"epochs": 0}', '{"epohcs": 1}', '{"config": 3}', "[" * 100_000, '{"a\\nb": 1}'],
)
def test_a_description_that_is_none_is_refused_in_one_line(text, run):
    run.config.write_text(text)
    assert_refused(run.read_config, "config.json")


def test_a_description_that_is_no_text_is_refused(run):
    run.config.write_bytes(b"\xff\xfe\x00")
    assert_refused(run.read_config, "config.json")


def test_a_config_with_nan_recorded_is_not_written(run):
    before = run.config.read_text()
    with pytest.raises(ValueError, match="JSON"):
        run.write_config(RunConfig(), {"loss": math.nan})
    assert run.config.read_text() == before
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["train_loss", "test_mse", "seconds"]), st.floats(allow_nan=False))))
def test_metrics_are_read_back_bit_for_bit(tmp_path_factory, rows):
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    rows = [{"epoch": number, **row} for number, row in enumerate(rows, start=1)]

    run.write_metrics(rows)

    assert run.read_metrics() == rows


def test_metrics_keep_nan_and_columns_that_come_later(run):
    run.write_metrics([{"epoch": 1, "train_loss": math.nan}, {"epoch": 2, "train_loss": 2.0, "test_mse": 0.1}])
    first, second = run.read_metrics()
    assert math.isnan(first["train_loss"])
    assert "test_mse" not in first
    assert second == {"epoch": 2, "train_loss": 2.0, "test_mse": 0.1}


def test_a_run_without_an_epoch_has_no_metrics(run):
    assert run.read_metrics() == []


@pytest.mark.parametrize(
    "text",
    ["epoch,loss\nx,1\n", "epoch,loss\n1,abc\n", "loss\n1\n", "epoch,loss\n1,2,3\n", "epoch,loss\n,2\n", 'epoch\n"1\n'],
)
def test_damaged_metrics_are_refused_in_one_line(text, run):
    run.metrics.write_text(text)
    assert_refused(run.read_metrics, "metrics.csv")


def test_the_summary_is_json(run):
    run.write_summary({"mse": 0.05})
    assert json.loads(run.summary.read_text()) == {"mse": 0.05}


def test_reading_a_run_imports_neither_keras_nor_tensorflow(run):
    run.write_metrics([{"epoch": 1, "train_loss": 2.0}])
    code = f"""
import sys
from keras_vae.training import RunDirectory
run = RunDirectory.open({str(run.path)!r})
assert run.read_config().epochs == 3
assert run.read_recorded() and run.read_metrics()
print([name for name in ("keras", "tensorflow", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
