"""Reading run directories: what they hold, and which runs cannot be compared."""

import os

import pytest
from made_up_runs import METRICS, PARAMETERS

from keras_vae.errors import InputError
from keras_vae.reports.runs import check_runs, read_runs


def test_a_run_is_what_its_files_say(make_run):
    (run,) = read_runs([make_run("latent2", epochs=4)])
    assert run.name == "latent2"
    assert run.parameters == PARAMETERS
    assert run.epochs == 4
    assert run.seconds == 40
    assert run.images_per_second == 450
    assert run.metrics == METRICS


def test_runs_of_one_name_are_told_apart_by_their_folders(make_run):
    paths = [make_run("latent2", folder="a/runs"), make_run("latent2", folder="b/runs"), make_run("latent4")]
    assert [run.name for run in read_runs(paths)] == ["a/runs/latent2", "b/runs/latent2", "latent4"]


def test_a_run_is_named_whichever_way_leads_to_it(make_run, monkeypatch):
    path = make_run("latent2")
    monkeypatch.chdir(path)
    (run,) = read_runs([path.__class__(".")])
    assert run.name == "latent2"


def test_the_same_run_given_twice_is_refused(make_run, tmp_path):
    path = make_run("latent2")
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(InputError, match="is the same run as"):
        check_runs([path, tmp_path / "link"])


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a run directory"):
        check_runs([tmp_path])
    with pytest.raises(InputError, match="at least one"):
        check_runs([])


def test_an_unfinished_run_is_refused_with_what_to_do(make_run):
    path = make_run("latent2")
    (path / "model.keras").unlink()
    with pytest.raises(InputError, match=r"has no model yet; finish the run with: keras-vae train --resume"):
        check_runs([path])


def test_a_run_that_was_not_measured_is_refused_with_what_to_do(make_run):
    with pytest.raises(InputError, match="keras-vae evaluate"):
        read_runs([make_run("latent2", is_evaluated=False)])


@pytest.mark.parametrize("file", ["config.json", "evaluation.json", "metrics.csv", "summary.json"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01{", b'{"metrics": {"mse": "small"}}'])
def test_a_damaged_file_is_named(make_run, file, content):
    path = make_run("latent2")
    (path / file).write_bytes(content)
    with pytest.raises(InputError, match=file):
        read_runs([path])


def test_figures_of_a_model_that_diverged_are_none(make_run):
    (run,) = read_runs([make_run("latent2")])
    path = run.path / "evaluation.json"
    path.write_text(path.read_text().replace("0.035", "NaN").replace("6.0", "Infinity"))
    (run,) = read_runs([run.path])
    assert run.metrics["mse"] is None
    assert run.metrics["kl_per_dimension"] == [None, 3.5]


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_name_that_is_no_text_can_be_shown(make_run):
    (run,) = read_runs([make_run(os.fsdecode(b"latent\xff\n2"))])
    assert run.name.isprintable()
