"""Shell commands in the documents are executed in their order, at a reduced size."""

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reduced_commands
import shell
import yaml
from documents import DOCUMENTS, ROOT, blocks, commands, languages
from PIL import Image

from keras_vae.models import AutoencoderKL

ALL_COMMANDS = [command for path in DOCUMENTS for command in commands(path)]
# Languages that are not executed, for these reasons.
NOT_CODE = {
    "text": "file lists, formulas and output",
    "cpp": "needs TensorFlow's C++ library, or LiteRT's",
    "kotlin": "needs the Android SDK",
}


def store_digits(data_dir, name, shape):
    """Write a prepared TFDS data set with a few of the bundled digits."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from keras_vae.data import load_dataset

    def examples(split, count):
        images = np.broadcast_to(split.images[:count], (count, 28, 28, shape[2]))
        border = (shape[0] - 28) // 2
        images = np.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))
        return tf.data.Dataset.from_tensor_slices({"image": images, "label": split.labels[:count].astype(np.int64)})

    digits = load_dataset("sample")
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=str(tfds.builder_cls(name).VERSION),
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=shape), "label": tfds.features.ClassLabel(num_classes=10)}
        ),
        split_datasets={"train": examples(digits.train, 300), "test": examples(digits.test, 60)},
        data_dir=data_dir,
    )


def write_photos(folder, count):
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(count):
        pixels = random.integers(0, 256, (40 + index % 7, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def write_diffusers_model(folder):
    """A small model in place of one that is downloaded."""
    options = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    AutoencoderKL((32, 32, 3), **options).save_diffusers(folder)


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """``execute(commands, folder, *options)`` runs commands with small models on the few images of TFDS there."""
    data_dir, programs = tmp_path_factory.mktemp("tensorflow_datasets"), tmp_path_factory.mktemp("programs")
    store_digits(data_dir, "mnist", (28, 28, 1))
    store_digits(data_dir, "fashion_mnist", (28, 28, 1))
    store_digits(data_dir, "cifar10", (32, 32, 3))
    reduced = [sys.executable, reduced_commands.__file__]
    (programs / "keras-vae").write_text(f'#!/bin/sh\nexec {shlex.join(reduced)} "$@"\n', encoding="utf-8")
    (programs / "keras-vae").chmod(0o755)
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "TFDS_DATA_DIR": str(data_dir)}
    environment.pop("KERAS_BACKEND", None)

    def run(lines, folder, *options):
        # One process for commands of keras-vae that follow each other, one shell for other lines.
        for is_ours, block in itertools.groupby(lines, lambda line: line.startswith("keras-vae ")):
            done = subprocess.run(
                [*reduced, *options] if is_ours else ["bash", "-eux", "-o", "pipefail"],
                input="".join(f"{line}\n" for line in block),
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    return run


@pytest.fixture(scope="module")
def begun(execute, tmp_path_factory):
    """A reader's checkout after the commands that several documents start from, with a folder of their own images."""
    folder = tmp_path_factory.mktemp("begun")
    write_photos(folder / "photos", 100)
    write_diffusers_model(folder / "stable-diffusion-v1-5" / "vae")
    for name in ("docs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    execute(shell.SHARED, folder, "--draw")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", shell.documents_to_execute(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_s_commands_can_follow_each_other(path, execute, begun, tmp_path):
    folder = tmp_path / "reader"
    shutil.copytree(begun, folder, symlinks=True)
    lines = shell.commands_to_execute(path)
    execute(lines, folder)
    for words in map(shlex.split, lines):
        if "train" in words and "--run-dir" in words:
            assert (folder / words[words.index("--run-dir") + 1] / "model.keras").is_file()


@pytest.mark.parametrize("beginning", shell.NOT_EXECUTED)
def test_what_is_not_executed_is_in_a_document(beginning):
    assert any(command.startswith(beginning) for command in ALL_COMMANDS)


@pytest.mark.parametrize("command", shell.SHARED)
def test_what_documents_start_from_is_in_more_than_one(command):
    assert sum(command in commands(path) for path in DOCUMENTS) > 1


@pytest.mark.parametrize("name", reduced_commands.REDUCED)
def test_what_is_reduced_is_in_a_document(name):
    assert any(command.startswith(f"keras-vae {name} ") for command in ALL_COMMANDS)


def test_keras_vae_is_installed_from_a_checkout_since_it_is_not_published():
    assert not [command for command in ALL_COMMANDS if command.startswith("pip install") and "keras-vae" in command]


def test_files_of_the_repository_that_commands_name_exist():
    words = {
        word for command in ALL_COMMANDS for word in shlex.split(command) if word.startswith(("docs/", "examples/"))
    }
    assert words
    assert all((ROOT / word).is_file() for word in words)


def test_requests_are_json():
    requests = [words[words.index("-d") + 1] for words in map(shlex.split, ALL_COMMANDS) if "-d" in words]
    assert requests
    assert all(isinstance(json.loads(request), dict) for request in requests if request.startswith("{"))


def test_every_language_is_executed_or_read_or_said_not_to_be():
    assert languages() - {"python", "bash", "sh", "json", "yaml"} == NOT_CODE.keys()


def test_yaml_can_be_read():
    examples = [path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.yaml")]
    documents = [text for _, text in blocks("json", "yaml")]  # JSON is YAML too
    assert examples
    assert all(part is not None for text in examples + documents for part in yaml.safe_load_all(text))
