"""Each command on a real run: those that compute most through the installed program, the others in this process."""

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
from idx_files import TEST, TRAIN
from installed_command import run_command
from made_up_inception import write_graph
from PIL import Image

from keras_vae.config import FINE_TUNING, PRESETS
from keras_vae.data import load_dataset
from keras_vae.training import device

PICTURES = (
    "train_plots.png",
    "test_plots.png",
    "latent_manifold.png",
    "samples.png",
    "samples_gmm.png",
    "interpolation.png",
    "traversal.png",
    "test_latent_visualization.png",
    "sample_test_reconstruction.png",
)
GIFS = ("test_latent_visualization.gif", "sample_test_reconstruction.gif")


def test_train_writes_the_whole_run_directory(trained):
    _, run = trained
    recorded = json.loads((run / "config.json").read_text())
    assert recorded["config"]["model"]["latent_dim"] == 3
    assert recorded["recorded"]["data"]["counts"] == {"train": TRAIN, "test": TEST}
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    parts = ("loss", "elbo", "nll", "kl", "lpips", "adversarial", "discriminator", "mse", "psnr", "ssim")
    assert all(np.isfinite(float(row[f"train_{name}"])) for row in rows for name in parts)
    assert float(rows[1]["test_mse"]) < float(rows[0]["test_mse"])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["test"]["mse"] == float(rows[1]["test_mse"])
    assert (run / "model.keras").is_file()
    assert len(list((run / "checkpoints").glob("epoch_*/state.npz"))) == 2
    assert not (run / "run.lock").exists()
    assert all(list((run / "tensorboard" / side).glob("events.*")) for side in ("train", "test"))


def test_train_draws_every_picture(trained):
    _, run = trained
    for name in PICTURES:
        with Image.open(run / "plots" / name) as picture:
            assert min(picture.size) > 100, name
    for name in GIFS:
        with Image.open(run / "plots" / name) as animation:
            assert animation.n_frames == 2, name


def test_train_off_a_terminal_prints_plain_lines_and_says_what_it_chose(trained):
    done, _ = trained
    precision = device.choose_precision("auto")
    assert f"precision {precision.value} ({precision.reason})" in done.stdout
    assert "XLA off (" in done.stdout
    assert "epoch 2/2 · train nll" in done.stdout
    assert "\r" not in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_resume_gives_the_same_weights_as_an_unbroken_run(trained, workplace, run_here):
    _, run = trained
    again = workplace / "runs" / "resumed"
    shutil.copytree(run, again, ignore=shutil.ignore_patterns("epoch_0002*", "model.keras", "summary.json"))

    done = run_here("train", "--resume", "--run-dir", again, cwd=workplace)

    assert done.returncode == 0, done.stderr

    state = "checkpoints/epoch_0002_step_00000/state.npz"
    with np.load(run / state) as expected, np.load(again / state) as resumed:
        assert expected.keys() == resumed.keys()
        assert all(np.array_equal(expected[name], resumed[name]) for name in expected)
    with Image.open(again / "plots" / GIFS[0]) as animation:
        assert animation.n_frames == 2


def test_evaluate_prints_figures_as_json_and_keeps_them_with_the_run(trained, workplace):
    _, run = trained
    done = run_command("evaluate", run, "--importance-samples", 5, "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report == json.loads((run / "evaluation.json").read_text())
    assert report["data"]["counts"]["test"] == TEST
    assert report["settings"]["importance_images"] == report["settings"]["frechet_images"] == TEST
    metrics = report["metrics"]
    assert metrics.keys() == {
        *("mse", "psnr", "ssim", "lpips", "elbo", "nll", "kl", "importance_nll", "kl_per_dimension", "active_units"),
        *("knn_accuracy", "frechet_reconstructions", "frechet_prior", "frechet_gmm"),
    }
    assert sum(metrics["kl_per_dimension"]) == pytest.approx(metrics["kl"])
    # The importance-sampled bound is tighter than the ELBO, but uses other draws of z.
    assert metrics["importance_nll"] < 1 - metrics["elbo"]
    # The last epoch measured its test MSE with the same weights and images; only the batches differ.
    assert metrics["mse"] == pytest.approx(json.loads((run / "summary.json").read_text())["test"]["mse"], rel=1e-4)


@pytest.mark.slow
def test_evaluate_measures_fid_with_the_network_that_is_given(trained, workplace):
    _, run = trained
    weights = write_graph(workplace / "classify_image_graph_def.pb")
    options = ("--importance-samples", 0, "--fid-weights", weights.name)

    done = run_command("evaluate", run, *options, cwd=workplace)

    assert done.returncode == 0, done.stderr
    report = json.loads((run / "evaluation.json").read_text())
    assert report["settings"]["fid_weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert report["metrics"].keys() >= {"frechet_reconstructions", "fid_reconstructions", "fid_prior", "fid_gmm"}
    assert f"FID ({TEST} images each, too few for 2,048 features; published FIDs usually take 50,000)" in done.stdout
    assert f"{report['metrics']['fid_reconstructions']:,.4f} also called rFID" in done.stdout
    # Progress alone: that TensorFlow deprecates an operation of the graph is not for users.
    words = {line.split()[0] for line in done.stderr.splitlines()}
    assert words == {"reconstructing", "encoding", "decoding", "wrote"}


@pytest.mark.slow
def test_a_keras_file_serves_as_well_as_its_run(trained, workplace, run_here):
    _, run = trained
    weights = write_graph(workplace / "graph.pb")
    options = ("--dataset", "idx:mnist", "--importance-samples", 0, "--fid-weights", weights)
    done = run_here("evaluate", run / "model.keras", *options, cwd=workplace)
    assert done.returncode == 0, done.stderr
    assert "also called rFID" in done.stdout
    assert f"{TEST} test images" in done.stdout
    assert "psnr" in done.stdout
    assert "importance nll" not in done.stdout


def test_reconstruct_draws_files_under_their_originals(trained, workplace, run_here):
    _, run = trained
    digit = np.zeros((40, 40), np.uint8)
    digit[8:32, 18:22] = 255
    Image.fromarray(digit).save(workplace / "one.png")
    done = run_here("reconstruct", run, "one.png", "one.png", "--out", "pairs.png", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with Image.open(workplace / "pairs.png") as picture:
        assert picture.mode == "RGB"


def test_sample_gives_the_same_picture_for_the_same_seed(trained, workplace):
    _, run = trained
    # In two processes, as a user has them: a picture drawn in that of the tests may differ by one grey level.
    for out in ("first.png", "second.png"):
        done = run_command("sample", run, "--count", 9, "--seed", 1, "--out", out, cwd=workplace)
        assert done.returncode == 0, done.stderr
    assert (workplace / "first.png").read_bytes() == (workplace / "second.png").read_bytes()


def test_sample_draws_from_a_mixture_fitted_to_the_training_images(trained, workplace, run_here):
    _, run = trained
    done = run_here("sample", run, "--sampler", "gmm", "--count", 9, "--out", "mixture.png", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with Image.open(workplace / "mixture.png") as picture:
        assert min(picture.size) > 100


def test_interpolate_draws_walks(trained, workplace, run_here):
    _, run = trained
    done = run_here("interpolate", run, "--pairs", 3, "--steps", 5, "--out", "walks.png", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with Image.open(workplace / "walks.png") as picture:
        assert picture.width > picture.height


def test_encode_writes_a_posterior_for_every_image(trained, workplace, run_here):
    _, run = trained
    done = run_here("encode", run, "--out", "latents.npz", cwd=workplace)
    assert done.returncode == 0, done.stderr
    with np.load(workplace / "latents.npz", allow_pickle=False) as arrays:
        assert arrays["mean"].shape == arrays["log_var"].shape == (TEST, 3)
        assert arrays["mean"].dtype == np.float32
        assert np.bincount(arrays["labels"]).tolist() == [TEST // 10] * 10


def test_neighbours_are_the_training_images_whose_posterior_means_are_nearest(trained, workplace, run_here):
    _, run = trained
    digits = load_dataset(f"idx:{workplace / 'mnist'}").train
    Image.fromarray(digits.images[7, ..., 0]).save(workplace / "seven.png")

    done = run_here("neighbours", run, "seven.png", "--count", 4, "--out", "near.png", "--json", cwd=workplace)
    encoded = run_here("encode", run, "--split", "train", "--out", "train.npz", cwd=workplace)

    assert (done.returncode, encoded.returncode) == (0, 0), done.stderr
    (report,) = json.loads(done.stdout)
    assert report["image"] == "seven.png"
    with np.load(workplace / "train.npz", allow_pickle=False) as arrays:
        distances = np.linalg.norm(arrays["mean"] - arrays["mean"][7], axis=1)
    expected = np.argsort(distances)[:4]
    assert [int(near["name"]) for near in report["neighbours"]] == expected.tolist()
    assert expected[0] == 7
    # bfloat16 where the processor has it, in batches of other sizes.
    np.testing.assert_allclose([near["distance"] for near in report["neighbours"]], distances[expected], atol=0.01)
    assert [int(near["label"]) for near in report["neighbours"]] == digits.labels[expected].tolist()
    with Image.open(workplace / "near.png") as picture:
        assert picture.width > 4 * picture.height / 2


def test_neighbours_that_are_not_there_are_refused(trained, workplace, refusal_here):
    _, run = trained
    Image.new("L", (28, 28)).save(workplace / "black.png")

    assert "mnist: has " in (line := refusal_here("neighbours", run, "black.png", "--count", 10**6, cwd=workplace))
    assert "images in train, fewer than --count 1,000,000" in line
    assert "is not conditional" in refusal_here("neighbours", run, "black.png", "--label", 3, cwd=workplace)
    assert "missing.png" in refusal_here("neighbours", run, "missing.png", cwd=workplace)


def test_presets_and_doctor_report_as_json(workplace, run_here):
    presets = json.loads(run_here("presets", "mnist", "--json", cwd=workplace).stdout)
    assert presets["mnist"]["config"]["model"]["latent_dim"] == 2
    doctor = json.loads(run_here("doctor", "--json", cwd=workplace).stdout)
    assert doctor.keys() >= {"versions", "gpu", "precision", "xla", "data", "disk"}
    assert "bundled sample" in doctor["data"]
    assert any("MNIST" in line for line in doctor["advice"])


@pytest.mark.slow
def test_every_preset_is_built_and_its_cost_is_counted(workplace, run_here):
    listed = json.loads(run_here("presets", "--json", cwd=workplace).stdout)
    assert listed.keys() == PRESETS.keys()
    models = [listed[name] for name in listed if name not in FINE_TUNING]
    assert all(cost["parameters"] < cost["encode_flops"] + cost["decode_flops"] for cost in models)
    assert all("parameters" not in listed[name] for name in FINE_TUNING)
