"""Commands that write a file refuse, before any work, to replace one or to write where they cannot."""

import os
import sys

import pytest

from keras_vae.errors import InputError
from keras_vae_cli import main, runtime
from keras_vae_cli.outputs import check_output

# Each with the name that it writes when none is given.
WRITERS = [
    (("sample", "run"), "samples.png"),
    (("sample", "run", "--sampler", "gmm"), "samples_gmm.png"),
    (("interpolate", "run"), "interpolation.png"),
    (("reconstruct", "run", "digit.png"), "reconstructions.png"),
    (("encode", "run"), "latents.npz"),
]


class StartedError(Exception):
    """Work began."""


@pytest.fixture
def keras_vae(tmp_path, monkeypatch, capfd):
    """``keras_vae(arguments…)``: exit code and standard error, in a folder with a run; work is never begun."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"config": {}}')
    (tmp_path / "run" / "model.keras").write_text("")

    def start():
        raise StartedError

    monkeypatch.setattr(runtime, "start_tensorflow", start)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["keras-vae", *map(str, arguments)])
        code = main._run(False)
        return code, capfd.readouterr().err

    return run


@pytest.mark.parametrize(("arguments", "name"), WRITERS)
def test_a_file_that_is_there_is_not_replaced_unless_asked(keras_vae, tmp_path, arguments, name):
    (tmp_path / name).write_text("mine")
    code, err = keras_vae(*arguments)
    assert code == 2
    assert err == f"keras-vae: {name}: exists already; replace it with --overwrite, or choose another --out\n"
    assert (tmp_path / name).read_text() == "mine"
    assert "StartedError" in keras_vae(*arguments, "--overwrite")[1]


@pytest.mark.parametrize(("arguments", "name"), WRITERS)
@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("nowhere/{}", "there is no folder nowhere; make it, or choose another --out"),
        ("run", "run: is a folder; name a file in it with --out"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(keras_vae, arguments, name, out, words):
    code, err = keras_vae(*arguments, "--out", out.format(name))
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [arguments for arguments, name in WRITERS if name.endswith(".png")])
def test_a_picture_is_not_called_by_another_format_s_name(keras_vae, arguments):
    code, err = keras_vae(*arguments, "--out", "picture.jpg")
    assert (code, err) == (2, "keras-vae: picture.jpg: the name must end in .png; choose another --out\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written; choose another --out"):
        check_output(tmp_path / "samples.png", overwrite=False)


def test_a_dangling_link_counts_as_a_file_that_is_there(tmp_path):
    (tmp_path / "samples.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        check_output(tmp_path / "samples.png", overwrite=False)
