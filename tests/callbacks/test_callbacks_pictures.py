"""The pictures of a run, drawn from its model, metrics and frames."""

import io
import types

import numpy as np
import pytest
from noise_images import FEW_LAYERS, SHAPE
from PIL import Image

from keras_vae import visualize
from keras_vae.callbacks import (
    EmbeddingProjector,
    EpochImages,
    EpochPosteriors,
    LatentFrames,
    Outcome,
    Pictures,
    TensorBoardSummaries,
    run_callbacks,
    write_pictures,
)
from keras_vae.callbacks.attempts import Attempts
from keras_vae.callbacks.model_pictures import (
    NOISE_EXPECTED,
    interpolation_picture,
    is_noise_expected,
    manifold_picture_of,
    samples_picture,
    traversal_picture_of,
)
from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.latents import FiniteScalarQuantizer
from keras_vae.layers import Prior, StandardNormal
from keras_vae.models import VAE, GaussianMixtureSampler
from keras_vae.training import RunDirectory
from keras_vae.training.saving import load_model

pytestmark = pytest.mark.slow

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
    # A GIF has 256 colours, so only the mean difference has to be small.
    assert np.abs(shown - drawn).mean() < 4


def test_pictures_are_written_again_after_further_epochs(finished, dataset):
    run, test = finished.directory, dataset.test
    path = run.plots / "samples.png"
    before = path.read_bytes()
    path.unlink()

    write_pictures(run, finished.trainer.inference_vae, test.images, test.labels, dataset.class_names, seed=0)

    assert path.read_bytes() == before


def make_vae(**options):
    return VAE(SHAPE, widths=(8, 16), **FEW_LAYERS, **options)


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


class ClassMeans(StandardNormal):
    """N(label, I)."""

    num_classes = 3

    def draw(self, noise, labels=None):
        return noise if labels is None else noise + np.float32(labels)[:, None]


def test_a_conditional_prior_draws_each_row_of_its_class_from_the_same_noise(monkeypatch):
    vae = make_vae(latent_dim=2, prior=ClassMeans((2,)))
    seen, original = [], vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(np.array(z)) or original(z, labels))
    samples_picture(vae, 7, seed=0)
    samples_picture(vae, 4, seed=0, label=2)
    rows, of_label = seen
    np.testing.assert_allclose(rows[2:4], rows[:2] + 1, rtol=1e-6)
    np.testing.assert_allclose(rows[4:], rows[:2] + 2, rtol=1e-6)
    np.testing.assert_array_equal(of_label, np.asarray(vae.bottleneck.sample(4, 0, np.full(4, 2, "int32"))))
    # A mixture of all latents knows nothing of classes.
    mixture = GaussianMixtureSampler.fit(np.random.default_rng(0).normal(size=(20, 2)), 1)
    with pytest.raises(InputError, match=r"a Gaussian mixture .* has no labels"):
        samples_picture(vae, 4, 0, mixture, label=2)


def test_samples_are_the_same_for_the_same_seed_alone():
    vae = make_vae(latent_dim=2)
    # An untrained decoder hardly depends on z; larger weights from z to the image make the draws visible.
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


class ShiftedAndScaled(Prior):
    """N((5, -2), diag(0.1², 3²))."""

    def draw(self, noise):
        return noise * np.float32([0.1, 3.0]) + np.float32([5.0, -2.0])


def test_manifold_and_traversal_go_along_the_quantiles_of_the_prior(monkeypatch):
    vae, seen = make_vae(latent_dim=2, prior=ShiftedAndScaled((2,))), []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(np.array(z)) or original(z, labels))

    manifold_picture_of(vae, np.random.default_rng(0).standard_normal((50, 2), "float32"))
    manifold = np.concatenate(seen)
    seen.clear()
    traversal_picture_of(vae, np.ones(2, "float32"))

    expected = visualize.manifold_latents(2) * [0.1, 3.0] + [5.0, -2.0]
    np.testing.assert_allclose(manifold, expected, atol=0.5)
    walks = np.concatenate(seen).reshape(2, -1, 2)
    np.testing.assert_allclose(walks[0, :, 1], -2.0, atol=0.2)
    np.testing.assert_allclose(walks[0, [0, -1], 0], [4.7, 5.3], atol=0.1)
    np.testing.assert_allclose(walks[1, [0, -1], 1], [-11.0, 7.0], atol=3.0)


def test_samples_of_a_mixture_decode_its_draws(monkeypatch):
    vae, seen = make_vae(latent_dim=2), []
    original = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, labels=None: seen.append(z) or original(z, labels))
    mixture = GaussianMixtureSampler(np.ones(1), np.array([[5.0, -3.0]]), 1e-6 * np.eye(2)[None])

    samples_picture(vae, 4, seed=0, sampler=mixture)

    np.testing.assert_allclose(seen[0], np.tile([5.0, -3.0], (4, 1)), atol=0.01)


@pytest.fixture
def titles(monkeypatch):
    """The titles of the pictures that are drawn."""
    seen = []
    monkeypatch.setattr("keras_vae.visualize.mosaic.add_title", lambda figure, text, **place: seen.append(text) or None)
    return seen


def test_noise_is_expected_of_uniform_codes_of_a_spatial_latent_alone():
    assert is_noise_expected(make_vae(latent_shape=(3, 3, 2), bottleneck=FiniteScalarQuantizer((3, 3))))
    assert not is_noise_expected(make_vae(latent_dim=2, bottleneck=FiniteScalarQuantizer((3, 3))))


def test_pictures_of_the_prior_say_that_a_spatial_latent_does_not_follow_it(titles):
    vae = make_vae(latent_shape=(3, 3, 2))
    mixture = GaussianMixtureSampler(np.ones(1), np.zeros((1, 18)), np.ones((1, 18)))
    samples_picture(vae, 4, seed=0)
    manifold_picture_of(vae, np.zeros((2, 18), "float32"))
    traversal_picture_of(vae, np.zeros(18, "float32"))
    assert titles[0].startswith("Samples of the prior · latent 2x3x3 · ")
    assert all(title.endswith(NOISE_EXPECTED) for title in titles)

    samples_picture(vae, 4, seed=0, sampler=mixture)
    samples_picture(make_vae(latent_dim=18), 4, seed=0)
    assert not any(NOISE_EXPECTED in title for title in titles[3:])


class PriorOfItsOwn(Prior):
    """Any prior but N(0, I)."""

    def sample(self, count, seed=None):
        return np.zeros((count, 3, 3, 2), "float32")


def test_a_spatial_latent_with_a_prior_of_its_own_is_not_said_to_be_noise():
    vae = make_vae(latent_shape=(3, 3, 2))
    assert is_noise_expected(vae)
    vae.prior = PriorOfItsOwn(vae.latent_shape)
    assert not is_noise_expected(vae)


@pytest.mark.parametrize("tests", [1, 2])
@pytest.mark.parametrize("latent_dim", [1, 3])
def test_pictures_are_drawn_from_whatever_there_is(tests, latent_dim, tmp_path, capsys):
    """One or two test images, all of the first of two classes, after a single epoch."""
    run = RunDirectory.create(tmp_path / "run")
    vae = make_vae(latent_dim=latent_dim, num_classes=2)
    images = np.random.default_rng(0).integers(0, 256, (tests, 12, 12, 1), dtype=np.uint8)
    labels = np.zeros(tests, np.int32)
    posteriors = EpochPosteriors(images, labels, shown=20, batch_size=128)
    posteriors.set_model(types.SimpleNamespace(inference_vae=vae))
    logs = {"val_mse": 0.1, "val_kl": 1.0}
    posteriors.on_epoch_end(0, logs)
    LatentFrames(run.frames, posteriors).on_epoch_end(0, logs)
    run.write_metrics([{"epoch": 1, "train_mse": 0.1, "test_mse": 0.1}])

    drawn = EpochImages(posteriors, ("a", "b"), seed=0).draw(vae, 0, logs)
    projector = EmbeddingProjector(run.tensorboard, posteriors, ("a", "b"))
    projector.on_train_begin()
    projector.on_epoch_end(0)
    write_pictures(run, vae, images, labels, ("a", "b"), seed=0)

    assert capsys.readouterr().err == ""
    assert len(drawn) == 3
    expected = set(PICTURES) - {"samples_gmm"} - ({"interpolation"} if tests == 1 else set())
    assert {path.stem for path in run.plots.iterdir()} == expected
    assert ("val_active_units" in logs) == (tests > 1)  # one image has no variance


def test_codes_have_neither_manifold_nor_traversal(tmp_path):
    run = RunDirectory.create(tmp_path / "run")
    vae = make_vae(latent_dim=2, bottleneck=FiniteScalarQuantizer((3, 3)))
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 1), dtype=np.uint8)
    posteriors = EpochPosteriors(images, None, shown=2, batch_size=2)
    posteriors.set_model(types.SimpleNamespace(inference_vae=vae))
    logs = {"val_mse": 0.1, "val_kl": 1.0}
    posteriors.on_epoch_end(0, logs)
    LatentFrames(run.frames, posteriors).on_epoch_end(0, logs)
    run.write_metrics([{"epoch": 1, "train_mse": 0.1, "test_mse": 0.1}])

    assert len(EpochImages(posteriors, None, seed=0).draw(vae, 0, logs)) == 3
    write_pictures(run, vae, images, None, None, seed=0)
    left_out = {"samples_gmm", "latent_manifold", "traversal"}
    assert {path.stem for path in run.plots.iterdir()} == set(PICTURES) - left_out


MANIFOLD = {"latent_manifold.png", "TensorBoard's z/latent_manifold"}
LATENT_FRAMES = {"test_latent_visualization.gif", "TensorBoard's z/latent_plot"}
SAMPLES = {"samples.png", "TensorBoard's samples/prior"}


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("manifold_picture", "metric_curves"), MANIFOLD | {"train_plots.png", "test_plots.png"}),
        # A class_grid is of conditional models alone.
        (("latent_frames", "image_grid", "class_grid"), LATENT_FRAMES | SAMPLES),
    ],
)
def test_a_picture_that_fails_is_one_warning_and_the_others_are_drawn(
    names, missing, finished, dataset, monkeypatch, capsys
):
    def fail(*arguments, **options):
        raise ValueError("need at least one array\nto concatenate")

    run = finished.directory
    kept = tuple(path.read_bytes() for path in sorted(run.plots.iterdir()))
    for name in names:
        monkeypatch.setattr(f"keras_vae.visualize.{name}", fail)
    posteriors = EpochPosteriors(dataset.test.images, dataset.test.labels, 2, 4)
    posteriors.set_model(finished.trainer)
    posteriors.on_epoch_end(0)
    pictures = EpochImages(posteriors, dataset.class_names, seed=0)
    for epoch in range(2):
        pictures.draw(finished.trainer.inference_vae, epoch, {})
    test = dataset.test
    write_pictures(run, finished.trainer.inference_vae, test.images, test.labels, dataset.class_names, seed=0)

    warnings = capsys.readouterr().err.splitlines()
    reason = "could not be drawn (ValueError: need at least one array)"
    assert sorted(warnings) == sorted(f"warning: {picture}: {reason}" for picture in missing)
    assert tuple(path.read_bytes() for path in sorted(run.plots.iterdir())) == kept


def test_a_full_disk_is_not_taken_for_a_picture_that_fails():
    with pytest.raises(OSError, match="No space left"), Attempts().at("samples.png"):
        raise OSError(28, "No space left on device")
    file = io.StringIO()
    with Attempts(file).at("samples.png"):
        raise OSError("broken data stream")  # as Pillow raises it
    assert file.getvalue() == "warning: samples.png: could not be drawn (OSError: broken data stream)\n"


def test_a_run_without_pictures_draws_nothing_and_keeps_no_frames(finished, dataset):
    with_pictures, without = (
        run_callbacks(finished.directory, RunConfig().replace(pictures=pictures), dataset) for pictures in (True, False)
    )

    left_out = [type(callback) for callback in with_pictures]
    for callback in without:
        left_out.remove(type(callback))
    assert left_out == [LatentFrames, Pictures]
    (summaries,) = (callback for callback in without if isinstance(callback, TensorBoardSummaries))
    assert summaries.images is None


def test_model_and_summary_are_written_before_the_pictures_and_the_run_is_finished_after_them(
    finished, dataset, tmp_path
):
    callbacks = run_callbacks(finished.directory, RunConfig(), dataset)
    assert [type(callback) for callback in callbacks[-3:-1]] == [Outcome, Pictures]
    assert finished.directory.finished_epochs() == 2
    assert load_model(finished.directory.model).latent_dim == 2

    run = RunDirectory.create(tmp_path / "run")
    run.write_metrics(finished.directory.read_metrics())
    run.write_evaluation({"of": "a former model"})
    outcome = Outcome(run, dataset, seed=0)
    outcome.set_model(finished.trainer)
    outcome.on_train_end()
    assert run.read_evaluation() is None
    assert run.model.is_file()
    assert run.finished_epochs() is None  # killed now, the pictures are left to do
    run_callbacks(run, RunConfig(), dataset)[-1].on_train_end({})
    assert run.finished_epochs() == 2
    summary = run.read_summary()
    assert (summary["epochs"], summary["parameters"]) == (2, finished.trainer.vae.count_params())
