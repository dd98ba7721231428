"""``--beam``, in this process: what is refused before a job begins, and jobs from end to end."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from keras_vae.data import ArraySplit, ImageDataset, write_tfrecords
from keras_vae_cli import main

MODEL = Path(__file__).resolve().parents[2] / "saved_models" / "mnist-latent2"


@pytest.fixture
def keras_vae(tmp_path, monkeypatch, capfd):
    """``keras_vae(arguments…)``: exit code, standard output and standard error of the command, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keras-vae", *map(str, arguments)])
        code = main._run(False)
        return (code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "noise"
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    split = ArraySplit(images, np.arange(5, dtype=np.int32))
    write_tfrecords(ImageDataset("noise", "idx", split, split, tuple("abcde")), folder, shard_size=3)
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("encode", MODEL, "--runner", "DirectRunner"), "--runner needs --beam"),
        (("encode", MODEL, "--format", "tfrecord"), "--format needs --beam"),
        (("evaluate", MODEL, "--overwrite"), "--overwrite needs --beam"),
        (("evaluate", MODEL, "--out", "figures"), "--out needs --beam"),
        (("encode", MODEL, "sample", "--beam", "--data-dir", "data"), "--data-dir does not go with --beam"),
        (("evaluate", MODEL, "--beam", "--importance-samples", "0"), "--importance-samples does not go with --beam"),
        (("evaluate", MODEL, "--beam", "--fid-weights", "graph.pb"), "--fid-weights does not go with --beam"),
        (("reconstruct", MODEL, "a.png", "b.png", "--beam"), "--beam takes one tfrecord:… or images:PATTERN, got 2"),
        (("encode", MODEL, "--beam"), "--beam needs images: tfrecord:DIR"),
        (("encode", MODEL, "--beam", "--runner", "SparkRunner"), "SparkRunner"),
        (("encode", "nowhere", "tfrecord:nowhere", "--beam"), "nowhere: no such exported model"),
        (("encode", ".", "tfrecord:nowhere", "--beam"), ".: is not an exported model, which --beam needs"),
        (("encode", MODEL, "tfrecord:nowhere", "--beam", "--", "--fast"), "unrecognized arguments: --fast"),
        (("encode", MODEL, "tfrecord:nowhere", "--beam"), "nowhere: no such TFRecord file"),
        (("encode", MODEL, "sample", "--beam"), "'sample': a batch job reads tfrecord:PATTERN"),
    ],
)
def test_what_cannot_be_a_job_is_refused_in_one_line(keras_vae, tmp_path, arguments, words):
    code, out, err = keras_vae(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("keras-vae: ")
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_without_the_extra_a_line_says_how_to_install_it(keras_vae, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = keras_vae("encode", MODEL, "tfrecord:data", "--beam")
    assert code == 2
    assert err == "keras-vae: --beam needs Apache Beam, which is not installed; pip install 'keras-vae[beam]'\n"


def test_a_data_set_is_encoded_into_shards(keras_vae, records, tmp_path):
    code, out, err = keras_vae("encode", MODEL, f"tfrecord:{records}", "--beam", "--", "--direct_num_workers=1")
    assert (code, err) == (0, "")
    assert out == "5 posteriors are in latents (2 files)\n"
    files = sorted((tmp_path / "latents").glob("latents-*-of-00002.parquet"))
    assert [label for file in files for label in pq.read_table(file)["label"].to_pylist()] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_reconstructions_are_images_for_the_next_job(keras_vae, records):
    code, out, err = keras_vae("reconstruct", MODEL, f"tfrecord:{records}/test/*-00000-*", "--beam", "--out", "again")
    assert (code, out, err) == (0, "2 reconstructions are in again (1 file)\n", "")
    code, out, err = keras_vae("evaluate", MODEL, "--dataset", "tfrecord:again", "--beam", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["images"] == 2
    code, out, _ = keras_vae("evaluate", MODEL, "--dataset", "tfrecord:again", "--beam", "--overwrite")
    assert code == 0
    assert "psnr" in out


def test_too_many_bad_images_end_the_command_with_1(keras_vae, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"pixels")
    code, out, err = keras_vae("encode", MODEL, "images:*.png", "--beam")
    assert (code, out) == (1, "")
    assert err.splitlines()[0].startswith("photo.png: cannot be read as PNG")
    assert err.splitlines()[-1].startswith("keras-vae: images:*.png: 1 of 1 images are bad")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
