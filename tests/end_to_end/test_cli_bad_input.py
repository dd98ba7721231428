"""Bad input gives one line on stderr and exit code 2, without a traceback, and leaves nothing behind.

Each kind of refusal is tried once through the installed program, and the rest of them in this process.
"""

import gzip
import json
import zipfile

import pytest
from installed_command import run_command

from keras_vae.config import RunConfig
from keras_vae.training import RunDirectory

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture
def a_run(tmp_path):
    """A finished run, as far as a command looks before it trains."""
    run = RunDirectory.create(tmp_path / "run", RunConfig())
    run.write_metrics([{"epoch": 1, "seconds": 2.5, "train_loss": 1.0}])
    run.model.write_bytes(b"weights")
    return run


def assert_refused(done, *words):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.startswith("keras-vae: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--latnt", "2"), ("--latnt", "--latent")),  # unknown to Click
        (("train", "--latent", "0"), ("latent-dim must be at least 1, got 0",)),  # refused by the configuration
        (("train", "--dataset", "idx:nowhere"), ("nowhere: no such directory",)),  # refused after TensorFlow's import
    ],
)
def test_the_program_ends_with_one_line_and_code_2(arguments, words, tmp_path):
    assert_refused(run_command(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--latent", "two"), ("--latent", "two")),
        (("train", "--epochs", "-1"), ("epochs must be at least 1, got -1",)),
        (("train", "--batch-size", "0"), ("batch-size must be at least 1, got 0",)),
        (("train", "--beta", "nan"), ("beta must be a finite number",)),
        (("train", "--precision", "float8"), ("--precision", "float8")),
        (("train", "--preset", "imagenet"), ("no preset is named 'imagenet'", "mnist")),
        (("train", "--widths", "3,x"), ("--widths",)),
        (("train", "--resume"), ("--run-dir",)),
        (("train", "--config", "missing.json"), ("missing.json",)),
        (("train", "--profile", "20:10"), ("--profile", "FIRST:LAST")),
        (
            ("train", "--accumulate", "3"),
            (
                "batch-size must be a multiple of 3",
                "--accumulate",
            ),
        ),
        (("train", "--strategy", "multi-worker"), ("neither TF_CONFIG nor Slurm names the workers",)),
        (("sample", "nowhere", "--components", "5"), ("--components", "choose --sampler gmm")),
        (("evaluate", "nowhere"), ("nowhere: no such run directory, .keras file or exported model",)),
        (
            ("evaluate", "run", "--fid-weights", "missing.pb"),
            ("missing.pb: no such file", "classify_image_graph_def.pb"),
        ),
        (("evaluate", "run", "--fid-weights", "inception.pth"), ("inception.pth: is a pickle",)),
        (("trian",), ("trian",)),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(arguments, words, tmp_path, run_here):
    assert_refused(run_here(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dataset", "idx:empty"), ("empty",)),
        (("--dataset", "sample", "--batch-size", "4501"), ("batch-size must be at most the 4500 training images",)),
        (("--dataset", "sample", "--widths", "12,20"), ("groups=8", "12")),
    ],
)
def test_a_run_that_cannot_start_leaves_no_directory(arguments, words, tmp_path, run_here):
    (tmp_path / "empty").mkdir()
    assert_refused(run_here("train", "--run-dir", "run", *arguments, cwd=tmp_path), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_corrupt_idx_files_are_named(tmp_path, run_here):
    folder = tmp_path / "idx"
    folder.mkdir()
    for name in MNIST_FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0" * 7))
    done = run_here("train", "--dataset", f"idx:{folder}", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "-ubyte.gz")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_overwritten(a_run, tmp_path, run_here):
    before = a_run.metrics.read_bytes()
    done = run_here("train", "--dataset", "sample", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "there is a run already", "--resume", "--overwrite")
    assert a_run.metrics.read_bytes() == before


def test_overwrite_keeps_the_old_run_when_the_new_one_cannot_start(a_run, tmp_path, run_here):
    done = run_here("train", "--dataset", "mnits", "--overwrite", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "mnits", "mnist")
    assert a_run.model.is_file()


def test_a_directory_that_is_no_run_is_not_taken(tmp_path, run_here):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    done = run_here("train", "--dataset", "sample", "--overwrite", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "exists and is not a run")
    assert (tmp_path / "run" / "thesis.txt").read_text() == "mine"


def test_an_unwritable_run_directory_is_refused(tmp_path, run_here):
    (tmp_path / "file").write_text("")
    done = run_here("train", "--dataset", "sample", "--run-dir", "file/run", cwd=tmp_path)
    assert_refused(done, "file/run")


def test_a_config_with_an_unknown_setting_names_the_nearest(tmp_path, run_here):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"epoch": 3}}))
    assert_refused(run_here("train", "--config", "config.json", cwd=tmp_path), "epoch", "did you mean epochs?")


def test_a_file_that_is_no_model_is_refused(tmp_path, run_here):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert_refused(run_here("sample", "model.keras", cwd=tmp_path), "model.keras")
    assert not (tmp_path / "samples.png").exists()
