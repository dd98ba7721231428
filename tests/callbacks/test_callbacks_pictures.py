"""The pictures that a run leaves, from its model, metrics and frames."""

import numpy as np
import pytest
from PIL import Image

from keras_vae.callbacks import write_pictures
from keras_vae.callbacks.model_pictures import (
    interpolation_picture,
    manifold_picture_of,
    samples_picture,
    traversal_picture_of,
)
from keras_vae.models import VAE, GaussianMixtureSampler

GIFS = ("test_latent_visualization", "sample_test_reconstruction")
PICTURES = (
    "train_plots",
    "test_plots",
    "latent_manifold",
    "samples",
    "samples_gmm",
    "interpolation",
    "traversal",
    *GIFS,
)


def test_a_finished_run_has_every_picture(finished):
    plots = finished.directory.plots

    assert {path.name for path in plots.iterdir()} == {f"{name}.png" for name in PICTURES} | {
        f"{name}.gif" for name in GIFS
    }
    for path in plots.iterdir():
        with Image.open(path) as picture:
            assert min(picture.size) >= 100, path.name
            darkest, brightest = picture.convert("L").getextrema()
        assert darkest < brightest, path.name  # something is drawn


@pytest.mark.parametrize("name", GIFS)
def test_a_gif_has_one_frame_an_epoch_and_its_last_frame_is_the_picture(name, finished):
    plots = finished.directory.plots
    with Image.open(plots / f"{name}.gif") as animation, Image.open(plots / f"{name}.png") as picture:
        assert animation.n_frames == 2
        animation.seek(1)
        shown, drawn = (np.asarray(image.convert("RGB"), int) for image in (animation, picture))
    # A GIF has 256 colours: the mean of the differences, not the largest, has to be small.
    assert np.abs(shown - drawn).mean() < 4


def test_pictures_are_written_again_after_further_epochs(finished, dataset):
    run, test = finished.directory, dataset.test
    path = run.plots / "samples.png"
    before = path.read_bytes()
    path.unlink()

    write_pictures(run, finished.trainer.inference_vae, test.images, test.labels, dataset.class_names, seed=0)

    assert path.read_bytes() == before


def make_vae(**options):
    return VAE((12, 12, 1), widths=(8, 16), groups=4, **options)


@pytest.fixture
def decoded(monkeypatch):
    """A conditional model, and the z and labels of what it is asked to decode."""
    vae = make_vae(num_classes=3)
    seen, original = [], vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append((z, labels)) or original(z, labels))
    return vae, seen


def test_a_conditional_model_has_a_row_for_each_class_and_a_z_for_each_column(decoded):
    vae, seen = decoded
    samples_picture(vae, 7, seed=0)
    ((z, labels),) = seen
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(z[:2], z[2:4])
    np.testing.assert_array_equal(z[:2], z[4:])


def test_a_conditional_model_draws_the_class_that_it_is_asked_for(decoded):
    vae, seen = decoded
    samples_picture(vae, 4, seed=0, label=2)
    ((z, labels),) = seen
    assert labels.tolist() == [2, 2, 2, 2]
    assert len(np.unique(z, axis=0)) == 4


def test_samples_are_the_same_for_the_same_seed_alone():
    vae = make_vae(latent_dim=2)
    # An untrained decoder hardly answers to z; larger weights from z to the image make the draws visible.
    vae.decoder.stem.kernel.assign(vae.decoder.stem.kernel * 100.0)
    first, again, other = (samples_picture(vae, 9, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("latent_dim", [1, 2, 5])
@pytest.mark.parametrize("num_classes", [None, 3])
def test_every_latent_size_has_a_manifold_walks_and_traversals(latent_dim, num_classes):
    vae = make_vae(latent_dim=latent_dim, num_classes=num_classes)
    rng = np.random.default_rng(0)
    means = rng.standard_normal((6, latent_dim), "float32")
    images = rng.integers(0, 256, (6, 12, 12, 1), dtype=np.uint8)
    labels = np.arange(6, dtype=np.int32) % 3

    for picture in (
        manifold_picture_of(vae, means),
        interpolation_picture(vae, images, means, rows=10, steps=4, seed=0, labels=labels),
        traversal_picture_of(vae, means.var(axis=0)),
    ):
        assert picture.dtype == np.uint8
        assert picture.shape[-1] == 3


def test_the_manifold_of_a_large_latent_spans_its_two_most_active_dimensions(monkeypatch):
    vae, seen = make_vae(latent_dim=4), []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(z) or original(z, labels))
    means = np.random.default_rng(0).standard_normal((50, 4), "float32") * np.array([0.1, 2.0, 0.2, 1.0], "float32")

    manifold_picture_of(vae, means)

    assert (np.ptp(seen[0], axis=0) > 0).tolist() == [False, True, False, True]


def test_the_traversal_of_a_very_large_latent_shows_the_dimensions_with_the_largest_kl(monkeypatch):
    vae, seen = make_vae(latent_dim=40), []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(z) or original(z, labels))

    traversal_picture_of(vae, np.arange(40, dtype="float32"))

    assert np.flatnonzero(np.ptp(np.concatenate(seen), axis=0)).tolist() == list(range(8, 40))


def test_samples_of_a_mixture_decode_its_draws(monkeypatch):
    vae, seen = make_vae(latent_dim=2), []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(z) or original(z, labels))
    mixture = GaussianMixtureSampler(np.ones(1), np.array([[5.0, -3.0]]), 1e-6 * np.eye(2)[None])

    samples_picture(vae, 4, seed=0, sampler=mixture)

    np.testing.assert_allclose(seen[0], np.tile([5.0, -3.0], (4, 1)), atol=0.01)
