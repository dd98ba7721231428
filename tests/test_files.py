"""Files that appear whole or not at all."""

import pytest

from keras_vae.files import write_text, written_beside


def test_a_file_appears_when_the_block_is_done_and_not_before(tmp_path):
    path = tmp_path / "model.weights.h5"
    with written_beside(path) as beside:
        beside.write_bytes(b"new")
        assert beside.parent == tmp_path
        assert beside.name.endswith(".weights.h5")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_part_of_the_new(error, tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("old")

    def write_half():
        with written_beside(path) as beside:
            beside.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_fails_and_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), written_beside(tmp_path / "picture.png"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_text_is_utf8_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "config.json"
    for text in ("long old text", "β = 1"):
        write_text(path, text)
    assert path.read_bytes() == "β = 1".encode()
