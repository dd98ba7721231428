"""A user's own images, labels and spatial latents through the commands, from training to export."""

import json

import numpy as np
import pytest
import tensorflow as tf
from idx_files import TEST, write_digits, write_split
from installed_command import run_command
from PIL import Image

from keras_vae.export.loading import load_exported
from keras_vae.training.saving import load_model

pytestmark = pytest.mark.slow

TINY = (
    *("--widths", "8,16", "--groups", "4", "--discriminator-widths", "8,16", "--epochs", "1", "--mapping-width", "32"),
    *("--optimizer", "adamw"),
)
# What is told of other runs does not depend on the other losses, which are slow to trace, nor on pictures.
ELBO_ALONE = ("--adversarial-weight", "0", "--perceptual-weight", "0", "--no-pictures")


def write_shapes(folder, count):
    """Coloured discs and bars in odd sizes and several formats, with a folder for each kind."""
    random = np.random.default_rng(0)
    for kind in ("bar", "disc"):
        (folder / kind).mkdir(parents=True)
        for index in range(count):
            height, width = random.integers(17, 60, 2)
            y, x = np.mgrid[:height, :width] / [[[height]], [[width]]] - 0.5
            inside = x**2 + y**2 < 0.1 if kind == "disc" else abs(x) < 0.15
            image = np.where(inside[..., None], random.integers(128, 256, 3), random.integers(0, 128, 3))
            Image.fromarray(image.astype(np.uint8)).save(
                folder / kind / f"{index:03}{('.png', '.jpg', '.webp')[index % 3]}"
            )


@pytest.fixture(scope="module")
def shapes_run(tmp_path_factory):
    place = tmp_path_factory.mktemp("shapes")
    write_shapes(place / "shapes", 120)
    (place / "shapes" / "disc" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = run_command(
        *("train", "--dataset", "folder:shapes", "--preset", "faces64", "--image-size", "26x20", "--latent", "4"),
        *("--conditional", "--augment", "RandomFlip('horizontal')", "--augment", "RandomTranslation", *TINY),
        *("--batch-size", "32", "--run-dir", "run"),
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    return done, place


def test_a_folder_of_mixed_photographs_trains_a_conditional_model(shapes_run):
    done, place = shapes_run
    assert "shapes: 216 training and 24 test images, 26×20×3" in done.stdout
    assert "torn.png: cannot be read" in done.stderr
    assert "1 of 241 image files cannot be read and are left out" in done.stderr
    config = json.loads((place / "run" / "config.json").read_text())
    assert config["config"]["model"]["num_classes"] == 2
    assert config["recorded"]["data"]["source"] == "folder"
    assert config["recorded"]["data"]["class_names"] == ["bar", "disc"]
    assert "classes: 0 bar 108, 1 disc 108" in done.stdout
    assert {path.name for path in (place / "run" / "plots").iterdir()} >= {"samples.png", "latent_manifold.png"}


def test_samples_of_one_class_are_drawn_and_a_class_that_is_not_there_is_refused(shapes_run, run_here):
    _, place = shapes_run
    done = run_here("sample", "run", "--label", "disc", "--count", 9, "--out", "discs.png", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "discs.png").is_file()
    refused = run_here("sample", "run", "--label", 2, cwd=place)
    known = "the classes are numbered 0 to 1 and named bar, disc"
    assert (refused.returncode, refused.stderr) == (2, f"keras-vae: run: there is no class '2'; {known}\n")


def test_photographs_of_one_class_are_reconstructed_and_the_class_is_asked_for(shapes_run, run_here):
    _, place = shapes_run
    photos = [f"shapes/disc/{name}" for name in ("000.png", "001.jpg")]
    done = run_here("reconstruct", "run", *photos, "--label", 1, "--out", "pairs.png", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "pairs.png").is_file()
    refused = run_here("reconstruct", "run", *photos, cwd=place)
    asked_for = "keras-vae: run: is conditional; give the class of the images with --label\n"
    assert (refused.returncode, refused.stderr) == (2, asked_for)


def test_a_conditional_model_is_evaluated_exported_and_loaded_back(shapes_run, run_here):
    _, place = shapes_run
    done = run_here("evaluate", "run", "--importance-samples", 0, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["mse"] < 0.2
    done = run_here("export", "run", "--name", "shapes", "--version", 1, "--no-tflite", cwd=place)
    assert done.returncode == 0, done.stderr
    vae = load_exported(place / "exports" / "shapes" / "1")
    assert vae.num_classes == 2
    assert vae.manifest.data["class_names"] == ["bar", "disc"]
    assert "Classes by number: 0 bar, 1 disc." in (place / "exports/shapes/1/MODEL_CARD.md").read_text()
    assert vae.sample(3, seed=0, labels=[0, 1, 1]).shape == (3, 26, 20, 3)


def test_photographs_are_cut_into_squares_in_every_command(tmp_path, run_here):
    for split, count in (("train", 12), ("test", 3)):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng(index).integers(0, 256, (33 + index, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / split / f"{index}.png")
    done = run_here(
        *("train", "--dataset", "folder:photos", "--channels", 3, "--crop", 16, "--crop-scale", 1.5),
        *("--augment", "RandomFlip('horizontal')", "--latent", "2x4x4", *TINY, *ELBO_ALONE, "--run-dir", "run"),
        *("--batch-size", 24),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "72 random squares of 12 photographs make an epoch; 18 tiles of 3 photographs are tested on" in done.stderr
    assert "photos: 72 training and 18 test images, 16×16×3" in done.stdout
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["config"]["data"]["crop"], config["config"]["data"]["crop_scale"]) == (16, 1.5)
    assert config["recorded"]["data"]["counts"] == {"train": 72, "test": 18}

    for command in (
        ("train", "--resume", "--run-dir", "run", "--epochs", 2),
        ("evaluate", "run", "--importance-samples", 0),
        ("encode", "run", "--split", "train"),
        ("reconstruct", "run", "photos/test/0.png", "--tile", 16, "--overlap", 4),
        ("export", "run", "--version", 1, "--no-tflite"),
    ):
        done = run_here(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "evaluation.json").is_file()
    assert np.load(tmp_path / "latents.npz")["mean"].shape[0] == 72


def write_garments(folder):
    """Ten kinds of grey garments, by width and length, as Fashion-MNIST's files have them."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28]
    for prefix, count in (("train", 480), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) % 10
        wide, long = 4 + labels % 5 * 2, 7 + labels // 5 * 5
        inside = (abs(x - 13.5) < wide[:, None, None]) & (abs(y - 13.5) < long[:, None, None])
        images = (inside * random.integers(100, 256, (count, 1, 1))).astype(np.uint8)
        write_split(folder, prefix, images, labels)


def test_idx_files_of_other_things_than_digits_train_and_come_back_from_an_export(tmp_path, run_here):
    write_garments(tmp_path / "garments")
    done = run_here(
        *("train", "--dataset", "idx:garments", "--latent", "3", "--conditional", *TINY, *ELBO_ALONE),
        *("--batch-size", "60", "--run-dir", "run"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "garments: 480 training and 60 test images, 28×28×1" in done.stdout
    # LiteRT's converter takes longest; documents export with it by the command, and tests/export conditional models.
    done = run_here("export", "run", "--name", "garments", "--version", 1, "--no-tflite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    version = tmp_path / "exports" / "garments" / "1"

    served, trained = load_exported(version), load_model(tmp_path / "run" / "model.keras")
    images = np.random.default_rng(1).random((4, 28, 28, 1)).astype(np.float32)
    labels = np.array([0, 3, 7, 9], np.int32)
    # The export computes in float32, the run in its machine's fastest precision; bfloat16 has eight bits.
    np.testing.assert_allclose(served.reconstruct(images, labels), trained.reconstruct(images, labels), atol=0.02)


def test_labels_that_are_not_there_are_asked_for(tmp_path, run_here):
    write_shapes(tmp_path / "shapes", 10)
    done = run_here("train", "--dataset", "folder:shapes/bar", "--conditional", *TINY, cwd=tmp_path)
    assert done.returncode == 2
    why = "has no labels, which --conditional needs (bar/ has no class folders); put each class into a folder"
    assert done.stderr == f"keras-vae: bar: {why}\n"
    assert not (tmp_path / "runs").exists()


def test_a_spatial_latent_trains_and_serves_with_its_shape(tmp_path, run_here):
    write_digits(tmp_path / "digits")
    done = run_here(
        *("train", "--latent", "2x7x7", "--dataset", "idx:digits", *TINY, *ELBO_ALONE, "--batch-size", "50"),
        *("--run-dir", "run"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "latent 2x7x7" in done.stdout
    done = run_here("evaluate", "run", "--importance-samples", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_here("export", "run", "--name", "spatial", "--version", 1, "--no-tflite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    vae = load_exported(tmp_path / "exports" / "spatial" / "1")
    mean, _ = vae.encode(tf.zeros((2, 28, 28, 1)))
    assert mean.shape == (2, 7, 7, 2)
    assert 0 < vae.scaling_factor != 1
    done = run_here("encode", "run", "--out", "latents.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "latents.npz")["mean"].shape == (TEST, 7, 7, 2)


def test_a_latent_that_does_not_fit_the_grid_is_refused(tmp_path, run_here):
    done = run_here("train", "--latent", "4x5x5", "--dataset", "sample", cwd=tmp_path)
    assert done.returncode == 2
    assert "the latent is 5×5, but images of 28×28 through 2 levels and a stem of stride 2 give 7×7" in done.stderr
