"""Bad input gives one line on stderr and exit code 2, without a traceback, and leaves nothing behind."""

import gzip
import json
import zipfile

import pytest
from installed_command import SMALL, run_command

MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def assert_refused(done, *words):
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.startswith("keras-vae: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--latent", "0"), ("latent-dim must be at least 1, got 0",)),
        (("train", "--latent", "two"), ("--latent", "two")),
        (("train", "--epochs", "-1"), ("epochs must be at least 1, got -1",)),
        (("train", "--batch-size", "0"), ("batch-size must be at least 1, got 0",)),
        (("train", "--beta", "nan"), ("beta must be a finite number",)),
        (("train", "--precision", "float8"), ("--precision", "float8")),
        (("train", "--preset", "imagenet"), ("no preset is named 'imagenet'", "mnist")),
        (("train", "--widths", "3,x"), ("--widths",)),
        (("train", "--latnt", "2"), ("--latnt", "--latent")),
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
        (("trian",), ("trian",)),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(arguments, words, tmp_path):
    assert_refused(run_command(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dataset", "idx:empty"), ("empty",)),
        (("--dataset", "sample", "--batch-size", "4501"), ("batch-size must be at most the 4500 training images",)),
        (("--dataset", "sample", "--widths", "12,20"), ("groups=8", "12")),
    ],
)
def test_a_run_that_cannot_start_leaves_no_directory(arguments, words, tmp_path):
    (tmp_path / "empty").mkdir()
    assert_refused(run_command("train", "--run-dir", "run", *arguments, cwd=tmp_path), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_corrupt_idx_files_are_named(tmp_path):
    folder = tmp_path / "idx"
    folder.mkdir()
    for name in MNIST_FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + b"\0" * 7))
    done = run_command("train", "--dataset", f"idx:{folder}", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "-ubyte.gz")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_overwritten(trained, workplace):
    _, run = trained
    before = (run / "metrics.csv").read_bytes()
    done = run_command("train", "--dataset", "sample", "--run-dir", run, *SMALL, cwd=workplace)
    assert_refused(done, "there is a run already", "--resume", "--overwrite")
    assert (run / "metrics.csv").read_bytes() == before


def test_overwrite_keeps_the_old_run_when_the_new_one_cannot_start(trained, workplace):
    _, run = trained
    done = run_command("train", "--dataset", "mnits", "--overwrite", "--run-dir", run, cwd=workplace)
    assert_refused(done, "mnits", "mnist")
    assert (run / "model.keras").is_file()


def test_a_directory_that_is_no_run_is_not_taken(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    done = run_command("train", "--dataset", "sample", "--overwrite", "--run-dir", "run", cwd=tmp_path)
    assert_refused(done, "exists and is not a run")
    assert (tmp_path / "run" / "thesis.txt").read_text() == "mine"


def test_an_unwritable_run_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_command("train", "--dataset", "sample", "--run-dir", "file/run", cwd=tmp_path)
    assert_refused(done, "file/run")


def test_a_config_with_an_unknown_setting_names_the_nearest(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"epoch": 3}}))
    assert_refused(run_command("train", "--config", "config.json", cwd=tmp_path), "epoch", "did you mean epochs?")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert_refused(run_command("sample", "model.keras", cwd=tmp_path), "model.keras")
    assert not (tmp_path / "samples.png").exists()
