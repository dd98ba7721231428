"""A whole experiment through the installed program, on images that are quick to learn."""

import json

import numpy as np
import pytest
from installed_command import run_command

pytestmark = pytest.mark.slow

COUNTS = {"train": 80, "t10k": 40}
# Other tests cover the parts that are slow to trace or to convert.
QUICK = ("--widths", "8", "--groups", "4", "--batch-size", "40", "--no-export")
QUICK += ("--adversarial-weight", "0", "--perceptual-weight", "0", "--mapping-layers", "0", "--optimizer", "adamw")


def write_idx(folder):
    """Images of 12×12 pixels in MNIST's own format."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for split, count in COUNTS.items():
        images = rng.integers(0, 256, (count, 12, 12), dtype=np.uint8)
        sizes = np.array(images.shape, ">i4").tobytes()
        (folder / f"{split}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + sizes + images.tobytes())
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + sizes[:4] + labels.tobytes())


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    workplace = tmp_path_factory.mktemp("experiment")
    write_idx(workplace / "images")
    options = ("--latents", "2,3", "--dataset", "idx:images", "--epochs", 2, "--run-dir", "sizes", *QUICK)
    done = run_command("experiment", *options, cwd=workplace)
    assert done.returncode == 0, done.stderr
    return workplace / "sizes"


def test_each_size_is_a_finished_and_measured_run(experiment):
    for latent in (2, 3):
        run = experiment / f"latent{latent}"
        assert json.loads((run / "config.json").read_text())["config"]["model"]["latent_dim"] == latent
        assert (run / "model.keras").is_file()
        measured = json.loads((run / "evaluation.json").read_text())
        assert len(measured["metrics"]["kl_per_dimension"]) == latent


def test_the_report_compares_them_in_one_file(experiment):
    comparison = experiment / "comparison"
    assert {"comparison.md", "comparison.json", "report.html", "latent.png", "test_curves.png"} <= {
        path.name for path in comparison.iterdir()
    }
    report = (comparison / "report.html").read_text()
    assert "latent2" in report
    assert "latent3" in report
    assert "data:image/gif;base64," in report


def test_a_second_run_at_one_size_gives_the_same_weights_as_in_the_experiment(experiment, run_here):
    """One process trains all sizes, and no run leaves state for the next."""
    done = run_here("train", "--config", "sizes/latent3/config.json", "--run-dir", "alone", cwd=experiment.parent)
    assert done.returncode == 0, done.stderr
    rows = [
        (folder / "metrics.csv").read_text().splitlines()
        for folder in (experiment / "latent3", experiment.parent / "alone")
    ]
    names = rows[0][0].split(",")
    timed = {names.index("seconds"), names.index("images_per_second")}
    in_experiment, alone = (
        [[value for index, value in enumerate(row.split(",")) if index not in timed] for row in lines] for lines in rows
    )
    assert in_experiment == alone
