"""A version appears completely or not at all: failures, kills, and simultaneous publishers."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from stand_ins import write_version

from keras_vae.errors import InputError
from keras_vae.export import publish as publishing
from keras_vae.export.manifest import check_manifest, read_manifest
from keras_vae.export.publish import check_target, list_versions, model_root, publish

KILLS = 80


def write(folder, version):
    write_version(folder, version)


def names_in(root):
    return sorted(path.name for path in root.iterdir())


def test_a_version_is_published_where_tensorflow_serving_looks_for_it(tmp_path):
    root = tmp_path / "saved_models" / "digits"
    published = publish(root, 3, write, check_manifest)
    assert published == root / "3"
    assert names_in(root) == ["3"]
    assert check_manifest(published).version == 3


def test_the_default_version_is_the_time_in_seconds_or_the_next_free_number(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing.time, "time", lambda: 1_700_000_000.9)
    versions = [publish(tmp_path / "digits", None, write, check_manifest).name for _ in range(3)]
    assert versions == ["1700000000", "1700000001", "1700000002"]
    assert list_versions(tmp_path / "digits") == [1700000000, 1700000001, 1700000002]


def test_what_is_written_is_out_of_sight_until_it_is_verified(tmp_path):
    seen = []

    def verify(folder):
        seen.append(names_in(tmp_path / "digits"))
        check_manifest(folder)

    publish(tmp_path / "digits", 1, write, verify)
    assert seen == [[".1.publishing"]]


@pytest.mark.parametrize("occupant", ["folder", "empty folder", "file", "dangling link"])
def test_a_version_that_is_taken_is_refused_and_left_alone(tmp_path, occupant):
    root, taken = tmp_path / "digits", tmp_path / "digits" / "7"
    root.mkdir()
    if "folder" in occupant:
        taken.mkdir()
    if occupant == "folder":
        (taken / "notes").write_text("mine")
    elif occupant == "file":
        taken.write_text("mine")
    elif occupant == "dangling link":
        taken.symlink_to("nowhere")
    with pytest.raises(InputError, match="there is that version already"):
        publish(root, 7, write, check_manifest)
    assert names_in(root) == ["7"]


@pytest.mark.parametrize("occupant", ["folder", "empty folder"])
def test_a_version_that_someone_else_makes_meanwhile_is_neither_merged_nor_replaced(tmp_path, occupant):
    root = tmp_path / "digits"

    def verify(folder):
        (root / "7").mkdir()
        if occupant == "folder":
            (root / "7" / "notes").write_text("mine")

    with pytest.raises(InputError, match="nothing was published"):
        publish(root, 7, write, verify)
    assert names_in(root) == ["7"]
    assert names_in(root / "7") == (["notes"] if occupant == "folder" else [])


@pytest.mark.parametrize("version", [0, -1, 2**63])
def test_a_version_that_tensorflow_serving_cannot_count_is_refused(tmp_path, version):
    with pytest.raises(InputError, match="version must be from 1"):
        publish(tmp_path / "digits", version, write, check_manifest)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "/a", "a\\b", "a b", ".hidden", "a\nb", "a:1", "é", "a" * 101]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(InputError, match="cannot name a model"):
        model_root(Path("saved_models"), name)


def test_a_plain_name_is_a_folder_of_its_own():
    assert model_root(Path("saved_models"), "mnist-latent2_v1.5") == Path("saved_models/mnist-latent2_v1.5")


@pytest.mark.parametrize(
    "error", [InputError("the model is bad"), OSError(28, "No space left on device"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("stage", ["write", "verify"])
def test_a_failure_publishes_nothing_and_leaves_nothing(tmp_path, error, stage):
    def fail(folder, version=None):
        write_version(folder)
        raise error

    steps = (fail, check_manifest) if stage == "write" else (lambda folder, version: None, fail)
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected, match=r"the model is bad|nothing was published \(No space|^$"):
        publish(tmp_path / "models" / "digits", 1, *steps)
    assert names_in(tmp_path) == []


def test_a_failure_leaves_the_versions_that_were_there(tmp_path):
    root = tmp_path / "digits"
    publish(root, 1, write, check_manifest)

    def fail(folder, version):
        raise RuntimeError("converter")

    with pytest.raises(RuntimeError, match="converter"):
        publish(root, 2, fail, check_manifest)
    assert names_in(root) == ["1"]
    check_manifest(root / "1")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a writable directory"):
        check_target(tmp_path / "file" / "digits")


def test_publishers_at_once_get_a_version_each(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing.time, "time", lambda: 1_700_000_000.0)
    root, gate, published, failed = tmp_path / "digits", threading.Barrier(6), [], []

    def run():
        gate.wait()
        try:
            published.append(publish(root, None, write, check_manifest))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names_in(root) == [str(1_700_000_000 + number) for number in range(6)]
    assert all(read_manifest(folder).version == int(folder.name) for folder in published)


def test_a_live_publisher_keeps_its_version_and_its_work(tmp_path):
    root = tmp_path / "digits"

    def write_while_others_publish(folder, version):
        with pytest.raises(InputError, match="another export writes it"):
            publish(root, 5, write, check_manifest)
        publish(root, 6, write, check_manifest)  # removes the leftovers of dead publishers
        write_version(folder, version)

    publish(root, 5, write_while_others_publish, check_manifest)
    assert names_in(root) == ["5", "6"]


def test_what_a_killed_publisher_left_is_swept_by_the_next(tmp_path):
    root = tmp_path / "digits"
    (root / ".5.publishing" / "variables").mkdir(parents=True)
    (root / ".5.publishing" / "saved_model.pb").write_text("half")
    (root / ".notes").mkdir()
    assert publish(root, 5, write, check_manifest) == root / "5"
    assert names_in(root) == [".notes", "5"]


def test_a_leftover_that_is_a_link_is_not_followed(tmp_path):
    root, elsewhere = tmp_path / "digits", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis").write_text("mine")
    root.mkdir()
    (root / ".5.publishing").symlink_to(elsewhere)
    publish(root, 6, write, check_manifest)
    assert (elsewhere / "thesis").read_text() == "mine"


def test_a_kill_at_any_moment_leaves_whole_versions_only(tmp_path):
    program = Path(__file__).with_name("killed_publishers.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "digits"), str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # it checks every version after every kill
    seen = json.loads(done.stdout)
    # Half of the kills are counted in lines of Python, and so meet a publisher at work on any machine.
    assert seen["killed"] >= KILLS // 2
    assert seen["unfinished"] >= KILLS // 4
    assert seen["versions"] >= 2
    assert seen["is_swept"]
