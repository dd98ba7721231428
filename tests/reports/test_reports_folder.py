"""The folder appears whole or not at all, and what is no comparison is left alone."""

import os
from pathlib import Path

import pytest

from keras_vae.errors import InputError
from keras_vae.reports import folder as folders
from keras_vae.reports.folder import check_folder, replaced_whole


@pytest.fixture
def old(tmp_path):
    """A comparison that is there already."""
    folder = tmp_path / "comparison"
    folder.mkdir()
    (folder / "comparison.json").write_text("old")
    return folder


def write(folder, text="new"):
    with replaced_whole(folder) as new:
        (new / "comparison.json").write_text(text)


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    write(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "comparison.json").read_text() == "new"


def test_a_comparison_is_replaced_and_nothing_else_is_left(old, tmp_path):
    (old / "samples.png").write_bytes(b"")
    write(old)
    assert os.listdir(tmp_path) == ["comparison"]
    assert os.listdir(old) == ["comparison.json"]
    assert (old / "comparison.json").read_text() == "new"


def test_a_link_to_a_comparison_stays_a_link(old, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(old)
    write(link)
    assert link.is_symlink()
    assert (old / "comparison.json").read_text() == "new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), InputError("damaged")])
def test_a_failure_leaves_the_old_comparison_whole(old, tmp_path, error):
    def write_half():
        with replaced_whole(old) as new:
            (new / "comparison.json").write_text("half")
            raise error

    with pytest.raises((InputError, KeyboardInterrupt)):
        write_half()
    assert os.listdir(tmp_path) == ["comparison"]
    assert (old / "comparison.json").read_text() == "old"


def test_a_failed_rename_puts_the_old_comparison_back(old, tmp_path, monkeypatch):
    rename, done = Path.rename, []

    def fail_second(self, target):
        done.append(self)
        if len(done) == 2:
            raise PermissionError(13, "refused")
        return rename(self, target)

    monkeypatch.setattr(folders.Path, "rename", fail_second)
    with pytest.raises(InputError, match="refused"):
        write(old)
    assert os.listdir(tmp_path) == ["comparison"]
    assert (old / "comparison.json").read_text() == "old"


def test_what_is_no_comparison_is_refused_and_left(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.md").write_text("mine")
    for name, message in (("file", "not a folder"), ("folder", "not a comparison"), ("file/below", "not a writable")):
        with pytest.raises(InputError, match=message):
            check_folder(tmp_path / name)
    assert (tmp_path / "folder" / "notes.md").read_text() == "mine"


def test_a_comparison_with_something_of_ones_own_in_it_is_refused(old):
    (old / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"contains more than a comparison \(notes.md\)"):
        write(old)


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty")
    assert (tmp_path / "empty" / "comparison.json").exists()


def test_a_comparison_counts_as_taken_unless_it_may_be_replaced(tmp_path):
    folder = tmp_path / "comparison"
    check_folder(folder, overwrite=False)
    folder.mkdir()
    check_folder(folder, overwrite=False)
    (folder / "comparison.json").write_text("{}")
    check_folder(folder)
    with pytest.raises(InputError, match="holds a comparison already; replace it with --overwrite"):
        check_folder(folder, overwrite=False)
