"""Publish, verify and use a run through the installed program."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from installed_command import run_command
from PIL import Image

from keras_vae.errors import InputError
from keras_vae_cli.verify import command as verify

pytestmark = pytest.mark.slow

FILES = {"saved_model.pb", "assets.extra/tf_serving_warmup_requests", "MODEL_CARD.md"}


@pytest.fixture(scope="module")
def exported(trained, workplace):
    """The completed process, and the folder of the version."""
    _, trained_run = trained
    run = workplace / "runs" / "measured"
    run.mkdir()
    for name in ("config.json", "metrics.csv", "summary.json", "model.keras"):
        shutil.copy(trained_run / name, run)
    # This replaces a measurement, which has its own tests.
    data = json.loads((run / "config.json").read_text())["recorded"]["data"]
    (run / "evaluation.json").write_text(json.dumps({"data": data, "settings": {}, "metrics": {"mse": 0.0345678}}))
    # The TFLite converter takes longest, and has its own tests.
    options = ("--name", "digits", "--version", 7, "--no-tflite", "--json")
    done = run_command("export", run, *options, cwd=workplace)
    assert done.returncode == 0, done.stderr
    return done, workplace / "exports" / "digits" / "7"


def test_export_publishes_one_version_with_its_card(exported):
    done, version = exported
    report = json.loads(done.stdout)
    assert report["files"].keys() >= FILES
    assert {path.name for path in version.parent.iterdir()} == {"7"}
    assert report["tflite"] == []
    assert all(said["difference"] <= said["bound"] for said in report["signatures"].values())
    card = (version / "MODEL_CARD.md").read_text()
    assert "| MSE | 0.03457 |" in card
    assert "LeCun, Cortes and Burges" in card
    assert "keras-vae export runs/measured" in card.replace(str(version.parents[2]) + "/", "")


def test_export_says_what_it_does_and_nothing_else(exported):
    done, _ = exported
    assert done.stderr.splitlines() == ["writing the SavedModel", "checking what was written"]


def test_verify_names_the_version_that_was_changed(exported, tmp_path):
    _, version = exported
    assert "7: unchanged since the export" in CliRunner().invoke(verify, [str(version.parent)]).stdout
    root = shutil.copytree(version.parent, tmp_path / "digits")
    shutil.copytree(version, root / "8")
    (root / "8" / "saved_model.pb").write_bytes(b"")
    done = CliRunner().invoke(verify, [str(root), "--json"])
    assert [said["problem"] is None for said in json.loads(done.stdout)["versions"]] == [True, False]
    assert isinstance(done.exception, InputError)
    assert "saved_model.pb was changed" in str(done.exception)


def test_a_model_that_was_changed_is_refused_with_one_line(exported, tmp_path, workplace, run_here):
    root = shutil.copytree(exported[1].parent, tmp_path / "digits")
    (root / "7" / "notes").write_text("mine")
    done = run_here("verify", root, cwd=workplace)
    assert done.returncode == 2
    assert done.stderr == f"keras-vae: {root}/7: notes was added after the export\n"


def test_an_exported_model_is_sampled_as_its_run_is(exported, workplace, run_here):
    done = run_here("sample", exported[1].parent, "--count", 4, "--seed", 3, "--out", "exported.png", cwd=workplace)
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(workplace / "exported.png") as picture:
        assert np.ptp(np.asarray(picture)) > 0
