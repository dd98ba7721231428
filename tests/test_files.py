"""Files that appear whole or not at all."""

from pathlib import Path

import pytest

from keras_vae.files import folder_written_beside, write_text, written_beside


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


def test_a_folder_is_replaced_when_the_block_is_done_and_not_before(tmp_path):
    folder = tmp_path / "folder"
    for text in ("old", "new"):
        with folder_written_beside(folder) as beside:
            (beside / text).write_text(text)
            assert not (folder / text).exists()
        assert [path.name for path in folder.iterdir()] == [text]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_folder_and_no_part_of_the_new(tmp_path, error):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")

    def write_half():
        with folder_written_beside(folder) as beside:
            (beside / "new").write_text("new")
            raise error

    with pytest.raises(error):
        write_half()

    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("old")
    rename = Path.rename

    def refuse_the_new(path, target):
        if (path / "new").exists():
            raise OSError("no")
        return rename(path, target)

    def write():
        with folder_written_beside(folder) as beside:
            (beside / "new").write_text("new")
            monkeypatch.setattr(Path, "rename", refuse_the_new)

    with pytest.raises(OSError, match="no"):
        write()

    assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
