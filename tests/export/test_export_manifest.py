"""The manifest detects every change of a version's files, and hostile manifests give one clear line."""

import hashlib
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import make_manifest, write_files, write_version

from keras_vae.errors import InputError
from keras_vae.export.manifest import check_manifest, read_manifest, write_manifest


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    write_version(folder)
    return folder


def change(folder, **fields):
    """Edit fields of manifest.json."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_every_file_but_the_manifest_is_listed_with_its_sha256_and_size(version):
    files = check_manifest(version).files
    found = {path.relative_to(version).as_posix(): path.read_bytes() for path in version.rglob("*") if path.is_file()}
    del found["manifest.json"]
    assert files == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in found.items()
    }


def test_what_is_read_is_what_was_written(tmp_path):
    write_files(tmp_path)
    written = write_manifest(tmp_path, make_manifest(num_classes=10, git_revision="abc", evaluation=None, tflite=()))
    assert read_manifest(tmp_path) == written
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"GRAPH"), r"saved_model\.pb was changed"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b"graphs"), r"saved_model\.pb was changed"),
        (lambda folder: (folder / "variables" / "part-001").unlink(), "variables/part-001 is missing"),
        (lambda folder: (folder / "variables" / "more").write_bytes(b""), "variables/more was added"),
        (lambda folder: (folder / ".hidden").write_bytes(b""), r"\.hidden was added"),
        (lambda folder: (folder / "a\nb").write_bytes(b""), r"a\\nb was added"),
        (lambda folder: (folder / "manifest.json").unlink(), "is not an exported version"),
    ],
)
def test_a_file_that_was_changed_removed_or_added_is_named(version, tamper, words):
    tamper(version)
    with pytest.raises(InputError, match=words) as caught:
        check_manifest(version)
    assert "\n" not in str(caught.value)


def test_a_link_is_refused_even_to_the_same_content(version, tmp_path):
    file = version / "saved_model.pb"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"saved_model\.pb is a link"):
        check_manifest(version)


def test_a_linked_folder_and_a_pipe_are_refused(version, tmp_path):
    (version / "variables").rename(tmp_path / "elsewhere")
    (version / "variables").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="variables is a link"):
        check_manifest(version)
    (version / "variables").unlink()
    os.mkfifo(version / "variables")
    with pytest.raises(InputError, match="variables is a link or not a plain file"):
        check_manifest(version)


def test_a_manifest_behind_a_link_or_a_pipe_is_not_read(version, tmp_path):
    path = version / "manifest.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is not a manifest"):
        check_manifest(version)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="is not a manifest"):
        check_manifest(version)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "variables/../../secret", "./saved_model.pb", "a//b", "", "a\\b", "a\0b"]
)
def test_a_path_that_leaves_the_folder_is_refused(version, name):
    files = json.loads((version / "manifest.json").read_text())["files"]
    change(version, files={**files, name: files["saved_model.pb"]})
    with pytest.raises(InputError, match="files is not an object of paths in the folder"):
        check_manifest(version)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"a"', "[" * 100_000, '{"format": NaN}', "9" * 5000, '{"format": 2}', "\ud800"],
)
def test_what_is_no_manifest_gets_one_line(version, text):
    (version / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"manifest\.json: ") as caught:
        check_manifest(version)
    assert "\n" not in str(caught.value)


def read_or_message(folder):
    try:
        return read_manifest(folder)
    except InputError as error:
        return str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, database=None)
@given(data=st.data())
def test_any_value_in_any_field_is_accepted_or_refused_in_one_line(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("version")
    whole = {"format": 1, **json.loads(json.dumps(make_manifest().as_dict()))}
    field = data.draw(st.sampled_from([name for name in whole if name not in ("data", "evaluation")]))
    value = data.draw(json_values)
    (folder / "manifest.json").write_text(json.dumps({**whole, field: value}))
    found = read_or_message(folder)
    if isinstance(found, str):
        assert f"{folder}/manifest.json: " in found
        assert "\n" not in found
    else:
        assert json.loads(json.dumps(found.as_dict()))[field] == value


@pytest.mark.parametrize("field", ["name", "version", "image_shape", "likelihood_scale", "files", "tflite"])
def test_a_field_that_is_missing_is_named(version, field):
    path = version / "manifest.json"
    values = json.loads(path.read_text())
    del values[field]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"{field} is not"):
        read_manifest(version)
