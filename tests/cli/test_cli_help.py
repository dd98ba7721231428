"""What the command says of itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_vae_cli import train

COMMAND = Path(sys.executable).with_name("keras-vae")
COMMANDS = (
    "train",
    "evaluate",
    "reconstruct",
    "sample",
    "interpolate",
    "encode",
    "neighbours",
    "explore",
    "score",
    "fit-prior",
    "export",
    "verify",
    "convert",
    "compare",
    "experiment",
    "to-tfrecord",
    "presets",
    "doctor",
)


def output_of(*arguments):
    return subprocess.run([str(COMMAND), *arguments], capture_output=True, text=True, check=True).stdout


def test_help_names_every_command_and_says_in_a_line_what_it_does():
    lines = [line.split() for line in output_of("--help").partition("Commands:")[2].splitlines() if line.strip()]
    assert [words[0] for words in lines] == list(COMMANDS)
    assert all(len(words) > 2 and words[-1].endswith(".") and not words[-1].endswith("...") for words in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command):
    assert f"keras-vae {command}" in output_of(command, "--help").partition("Examples:")[2]


def test_version_is_that_of_the_installed_package():
    from importlib.metadata import version

    assert output_of("--version").split()[-1] == version("keras-vae")


def test_every_setting_of_a_run_has_an_option():
    text = output_of("train", "--help-all")
    for option in ("--latent", "--beta", "--free-bits", "--adaptive-weight", "--perceptual-fraction", "--ema", "--jit"):
        assert f" {option}" in text


def headings(text):
    return [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]


@pytest.mark.parametrize("command", ["train", "experiment"])
def test_help_shows_the_options_used_most_by_group_and_says_how_to_see_the_rest(command):
    text = output_of(command, "--help")
    assert headings(text) == ["What to train", "Data", "Model", "Objective", "Optimizer", "Run", "Options"]
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert {"--preset", "--dataset", "--epochs", "--run-dir", "--resume"} <= set(shown)
    assert len(shown) < 20
    assert f"more options: keras-vae {command} --help-all" in text


def test_help_all_shows_every_option_in_its_group():
    text = output_of("train", "--help-all")
    assert headings(text) == [
        *("What to train", "Data", "Model", "Discriminator", "Objective", "Optimizer", "Run", "Options")
    ]
    assert "more options" not in text
    discriminator = text.partition("Discriminator:")[2].partition("Objective:")[0]
    assert "--normalization" in discriminator
    shown = {word.strip(",") for word in text.split() if word.startswith("--")}
    parameters = [option for option in train.command.params if option.opts[0] != "--help"]
    assert {name for option in parameters for name in option.opts} <= shown


@pytest.mark.parametrize(
    ("option", "bounds"),
    [
        ("--epochs", "default: 10; x >= 1"),
        ("--learning-rate", "default: 0.002; x > 0"),
        ("--perceptual-fraction", "default: 0.125; 0 < x <= 1"),
        ("--test-fraction", "default: 0.1; 0 < x < 1"),
        ("--clip-norm", "x > 0"),
        ("--latent", "default: 2; 1 <= x <= 65536"),
    ],
)
def test_help_shows_the_bounds_of_a_setting(option, bounds):
    (found,) = (parameter for parameter in train.command.params if option in parameter.opts)
    assert found.help.endswith(f"[{bounds}]")


def test_a_number_with_choices_shows_them():
    assert "--stem-stride [1|2]" in output_of("train", "--help-all")


def test_options_of_batch_jobs_are_in_a_group_of_their_own():
    jobs = output_of("encode", "--help").partition("Batch jobs, with --beam:")[2]
    assert "--runner" in jobs
    assert "--data-dir" not in jobs


@pytest.mark.parametrize("package", ["keras_vae", "keras_vae_cli"])
def test_the_packages_run_as_the_command(package):
    done = subprocess.run([sys.executable, "-m", package, "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "keras-vae: No such command 'trian'. Did you mean train?\n"
    done = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout == output_of("--help")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["eval"], "No such command 'eval'. Did you mean evaluate?"),
        (["qqq"], "No such command 'qqq'. Commands are train, evaluate, "),
        (["train", "--likelihood", "gausian"], "'discretized_logistic'. Did you mean gaussian?"),
        (["train", "--strategy", "mirored"], "Did you mean mirrored?"),
        (["encode", "x", "--split", "tset"], "Did you mean test?"),
        (["sample", "x", "--sampler", "gm"], "Did you mean gmm?"),
        (["train", "--preset", "mnits"], "did you mean mnist?"),
        (["presets", "photo128"], "did you mean photos128?"),
        (["train", "photos"], "Got unexpected extra argument (photos). See keras-vae train --help."),
        (["sample"], "Missing argument 'RUN'. See keras-vae sample --help."),
    ],
)
def test_what_is_mistyped_is_answered_with_the_nearest(words, answer):
    done = subprocess.run([str(COMMAND), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert answer in done.stderr
    assert done.stderr.count("\n") == 1
