"""What the command says of itself."""

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("keras-vae")
COMMANDS = (
    "train",
    "evaluate",
    "reconstruct",
    "sample",
    "interpolate",
    "encode",
    "export",
    "verify",
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
    text = output_of("train", "--help")
    for option in ("--latent", "--beta", "--free-bits", "--adaptive-weight", "--perceptual-fraction", "--ema", "--jit"):
        assert option in text
