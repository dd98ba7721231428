"""``keras-vae score`` on a real run: rows, figures, pictures, and what is refused."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from keras_vae import VAE


@pytest.fixture(scope="module")
def noise(workplace):
    """A folder of images that are no digits."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (workplace / "noise" / split).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (28, 28), np.uint8)
            Image.fromarray(pixels).save(workplace / "noise" / split / f"{number}.png")
    return workplace / "noise"


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_anomalies_are_told_from_the_test_images_with_every_measure(trained, workplace, noise, run_here, tmp_path):
    _, run = trained
    out = tmp_path / "scores.csv"
    options = ("--against", f"folder:{noise}", "--threshold-false-alarms", 0.1, "--json", "--out", out)
    options += ("--importance-samples", 2, "--regret-steps", 1)
    pictures = ("--gallery", tmp_path / "gallery.html", "--top", 5, "--heatmaps", tmp_path / "heat")

    done = run_here("score", run, *options, *pictures, cwd=workplace)

    assert done.returncode == 0, done.stderr
    figures, rows = json.loads(done.stdout), rows_of(out)
    assert figures["auroc"] > 0.99
    assert figures["average_precision"] > 0.95
    assert set(figures["measures"]) == {
        *("mse", "lpips", "local", "nll", "kl", "elbo", "neighbours", "mahalanobis", "density"),
        *("log_likelihood", "likelihood_regret"),
        *("padim", "patchcore"),
    }
    assert len(rows) == figures["images"] == figures["normal"]["held_out"] + 12
    assert figures["anomalies"] == 12
    anomalies, usual = ([row for row in rows if row["anomaly"] == known] for known in "10")
    assert all(row["image"].startswith(str(noise / "test")) and row["unusual"] == "1" for row in anomalies)
    assert np.mean([row["unusual"] == "1" for row in usual]) < 0.25
    for row in rows:
        assert np.isfinite([float(row["log_likelihood"]), float(row["likelihood_regret"])]).all()
        assert float(row["elbo"]) == pytest.approx(-float(row["nll"]) - float(row["kl"]), abs=0.01)
    assert Image.open(tmp_path / "scores_roc.png").size == (720, 720)
    assert len(list((tmp_path / "heat").iterdir())) == 5
    page = (tmp_path / "gallery.html").read_text()
    assert page.count("<figure>") == 5
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_files_are_scored_beside_the_images_of_the_run_and_with_a_scorer_that_was_kept(
    trained, workplace, noise, run_here, tmp_path
):
    _, run = trained
    files = sorted((noise / "test").iterdir())[:3]

    options = ("--method", "padim", "--threshold-false-alarms", 0.1, "--scorer", tmp_path / "scorer.keras")
    done = run_here("score", run, *files, *options, "--out", tmp_path / "scores.csv", cwd=workplace)

    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "scores.csv")
    assert [row["image"] for row in rows] == [str(file) for file in files]
    assert "anomaly" not in rows[0]
    assert min(float(row["score"]) for row in rows) > 0.9
    assert "the scores of 3 images" in done.stdout

    # The same with the scorer that was kept: no data set is read, and the threshold is the scorer's.
    options = ("--use-scorer", tmp_path / "scorer.keras", "--data-dir", tmp_path / "none", "--json")
    again = run_here("score", run, *files, *options, "--out", tmp_path / "again.csv", cwd=workplace)

    assert again.returncode == 0, again.stderr
    assert "learning" not in again.stderr
    for row, one in zip(rows, rows_of(tmp_path / "again.csv"), strict=True):
        assert float(one["score"]) == pytest.approx(float(row["score"]), abs=1e-6)
        assert one["unusual"] == row["unusual"] == "1"
    figures = json.loads(again.stdout)
    assert (figures["method"], figures["false_alarms"]) == ("padim", 0.1)
    assert figures["normal"]["name"] == str(tmp_path / "scorer.keras")

    vae = VAE((28, 28, 1), 3, widths=(8, 8), groups=4, attention_resolution=0, generative_skips=False)
    vae.save(tmp_path / "other.keras")
    other = run_here("score", tmp_path / "other.keras", *files, *options[:2], "--out", "new.csv", cwd=workplace)
    assert other.returncode == 2
    assert "scorer.keras: the scorer was fitted with another model" in other.stderr.strip().splitlines()[-1]


@pytest.fixture
def holes(tmp_path):
    """Noise in MVTec AD's layout, with white squares as defects and their masks, and one defect without a mask."""
    rng = np.random.default_rng(0)

    def write(path, pixels):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)

    for number in range(12):
        for split in ("train", "test"):
            write(tmp_path / "holes" / split / "good" / f"{number:03d}.png", rng.integers(0, 100, (28, 28)))
    for number in range(6):
        pixels, mask = rng.integers(0, 100, (28, 28)), np.zeros((28, 28))
        y, x = rng.integers(4, 16, 2)
        pixels[y : y + 8, x : x + 8] = mask[y : y + 8, x : x + 8] = 255
        write(tmp_path / "holes" / "test" / "hole" / f"{number:03d}.png", pixels)
        if number < 5:
            write(tmp_path / "holes" / "ground_truth" / "hole" / f"{number:03d}_mask.png", mask)
    return tmp_path / "holes"


@pytest.mark.slow
def test_masks_of_defects_give_the_auroc_of_pixels_and_must_fit_their_images(
    trained, workplace, holes, run_here, tmp_path
):
    _, run = trained
    model = tmp_path / "model.keras"
    model.write_bytes((run / "model.keras").read_bytes())
    options = (model, "--dataset", f"folder:{holes}", "--method", "padim", "--json")

    done = run_here("score", *options, "--out", tmp_path / "scores.csv", cwd=workplace)

    assert done.returncode == 0, done.stderr
    assert "unusual" not in rows_of(tmp_path / "scores.csv")[0]
    figures = json.loads(done.stdout)
    assert figures["auroc"] == 1
    assert 0.9 < figures["pixel_auroc"] <= 1
    Image.new("L", (20, 28)).save(holes / "ground_truth" / "hole" / "002_mask.png")
    refused = run_here("score", *options, "--out", tmp_path / "again.csv", cwd=workplace)
    assert refused.returncode == 2
    assert "002_mask.png: is 20×28, but its image" in refused.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "again.csv").exists()


@pytest.mark.slow
def test_a_scorer_goes_with_the_exported_model(trained, workplace, run_here, tmp_path, monkeypatch):
    # The files of the parts take most of the time, and test_cli_export.py has them.
    monkeypatch.setattr("keras_vae.export.export.write_tflite", lambda *arguments, **options: [])
    _, run = trained
    scorer = ("--scorer", tmp_path / "scorer.keras")
    options = ("--method", "padim", "--threshold-false-alarms", 0.1, "--out", tmp_path / "scores.csv")
    assert run_here("score", run, *options, *scorer, cwd=workplace).returncode == 0

    done = run_here("export", run, *scorer, "--to", tmp_path, "--version", 1, "--json", cwd=workplace)

    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["score"]["false_alarms"] == 0.1
    refused = run_here("score", tmp_path / run.name, *options, *scorer, "--overwrite", cwd=workplace)
    assert refused.returncode == 2
    assert "is exported already; give --scorer with the run directory or the .keras file" in refused.stderr
    (said,) = (said for said in manifest["tflite"] if said["part"] == "score")
    assert said["path"] == "tflite/score_fp32.tflite"
    assert (tmp_path / run.name / "1" / "tflite" / "score_fp32.tflite").stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scorer", "scorer.keras"), "a scorer has a threshold: give its rate with --threshold-false-alarms"),
        (
            ("--scorer", "scorer.txt", "--threshold-false-alarms", 0.1),
            "scorer.txt: the name must end in .keras; choose another --scorer",
        ),
        (("--threshold-false-alarms", 0.00001), "takes at least 99,999 normal images beside those of training"),
        (("--out", "scores.txt"), "scores.txt: the name must end in .csv"),
        (("--gallery", "gallery"), "gallery: the name must end in .html"),
        (("--method", "ssim"), "'ssim' is not one of"),
        (("missing.png",), "missing.png"),
        (("--use-scorer", "scorer.keras", "--method", "vae"), "and --method says how to fit one; leave one out"),
        (("--use-scorer", "runs/small/model.keras"), "model.keras: holds a VAE, not a scorer"),
    ],
)
def test_what_cannot_be_scored_is_refused_and_leaves_nothing(trained, workplace, run_here, options, message):
    _, run = trained
    before = sorted(workplace.rglob("*"))

    done = run_here("score", run, *options, cwd=workplace)

    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert sorted(workplace.rglob("*")) == before


def test_encode_names_the_file_of_each_posterior(trained, workplace, noise, run_here, tmp_path):
    _, run = trained

    done = run_here("encode", run, f"folder:{noise}", "--out", tmp_path / "latents.npz", cwd=workplace)

    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "latents.npz", allow_pickle=False) as arrays:
        assert sorted(arrays["paths"].tolist()) == sorted(str(path) for path in (noise / "test").iterdir())
        assert len(arrays["mean"]) == len(arrays["paths"])
