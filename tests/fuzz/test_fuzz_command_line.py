"""The command line accepts whatever is typed, or refuses it in one line.

Commands stop where they would start TensorFlow, so that thousands of lines can be tried.
"""

import importlib
import io
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_vae_cli import main


class Accepted(BaseException):
    """The options were accepted, and the command would start TensorFlow."""


# Any text that a shell can pass: all bytes but 0, with bytes that are not UTF-8 as lone surrogates.
texts = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=("Cs",)),
    ),
    max_size=20,
)
numbers = st.one_of(
    st.integers(-3, 300).map(str),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["1e400", "-0", "0x10", "1_000", "١٢", "²", "9" * 5000, "1,2", "8,16", "4x7x7", "4x7", "0x0x0"]),
)
names = st.sampled_from(
    ["a" * 300, "a/" * 2100, "/proc/self/mem", "/dev/null", ".", "..", "~", "~nobody/x", "sample", "idx:", "folder:"]
)
values = st.one_of(texts, numbers, names)


def parameters(command):
    """Strategy for the words after a command: some of its options, each with a value that it may accept."""

    def typed(option):
        flag = st.sampled_from([*option.opts, *option.secondary_opts])
        if option.is_flag:
            return flag.map(lambda name: [name])
        choices = getattr(option.type, "choices", ())
        liked = st.one_of(values, st.sampled_from(list(choices))) if choices else values
        return st.tuples(flag, liked, st.booleans()).map(
            lambda found: [f"{found[0]}={found[1]}"] if found[2] else [*found[:2]]
        )

    options = [typed(option) for option in command.params if isinstance(option, click.Option)]
    return st.lists(st.one_of(*options, values.map(lambda value: [value])), max_size=6).map(
        lambda found: [word for words in found for word in words]
    )


def command_module(name):
    return importlib.import_module(f"keras_vae_cli.{name.replace('-', '_')}")


def lines():
    return st.one_of(
        *(
            parameters(command_module(name).command).map(lambda rest, name=name: [name, *rest])
            for name in main.COMMANDS
        ),
        st.lists(values, min_size=1, max_size=3),
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """An empty folder to run in, with an empty home, no data sets, and TensorFlow kept from starting."""

    def start_tensorflow():
        raise Accepted

    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for module in map(command_module, main.COMMANDS):
            if hasattr(module, "start_tensorflow"):
                patch.setattr(module, "start_tensorflow", start_tensorflow)
        patch.setattr("keras_vae_cli.runtime.start_tensorflow", start_tensorflow)
        patch.setattr("keras_vae_cli.training.start_tensorflow", start_tensorflow)
        yield folder


@given(line=lines())
def test_every_line_is_taken_or_refused_in_one_line(workplace, line):
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["keras-vae", *line])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        try:
            code = main._run(False)
        except Accepted:
            return
    printed, message = (written(stream) for stream in (out, err))
    if code == 0:  # help, a version, or a list that needs no TensorFlow
        assert printed
        assert not message
        return
    assert code == 2, message
    assert message.endswith("\n")
    assert message.count("\n") == 1
    assert "Traceback" not in message
    assert not [path for path in workplace.rglob("*") if not path.is_dir()]


def written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode()
