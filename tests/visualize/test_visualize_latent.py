"""The latent plot and its frames: fixed axes, one projection, colours that can be told apart."""

from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import chi2
from skimage.color import deltaE_ciede2000, rgb2lab

from keras_vae.errors import InputError
from keras_vae.visualize import axis_limits, fit_projection, latent, latent_frames, latent_plot
from keras_vae.visualize.style import CLASS_COLOURS


def clusters(count=300, latent_dim=2, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    return (rng.normal(size=(classes, latent_dim))[labels] * 2 + rng.normal(size=(count, latent_dim)) * 0.2), labels


def has_colour(picture, colour):
    return (picture == np.rint(np.array(to_rgb(colour)) * 255)).all(axis=-1).any()


def recorded_plots(monkeypatch):
    """What ``latent_frames`` asks ``latent_plot`` to draw."""
    calls = []

    def record(points, labels, **options):
        calls.append((points, labels, options))
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(latent, "latent_plot", record)
    return calls


def test_two_dimensions_are_shown_as_they_are():
    means, _ = clusters()
    np.testing.assert_array_equal(fit_projection(means).transform(means), means)


def test_the_projection_is_pca_as_numpy_computes_it():
    means, _ = clusters(latent_dim=6)
    projection = fit_projection(means)
    centred = means - means.mean(axis=0)
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(projection.transform(means)), np.abs(centred @ rows[:2].T), atol=1e-9)
    share = singular**2 / (singular**2).sum()
    np.testing.assert_allclose(projection.explained_variance_ratio, share[:2], rtol=1e-9)
    assert f"{share[0]:.0%}" in projection.axis_names[0]


def test_the_sign_of_a_component_does_not_depend_on_the_order_of_the_images():
    means, _ = clusters(latent_dim=6)
    order = np.random.default_rng(1).permutation(len(means))
    np.testing.assert_allclose(fit_projection(means).components, fit_projection(means[order]).components, atol=1e-9)


def test_one_dimension_is_spread_within_its_density():
    codes = np.random.default_rng(0).normal(size=(4000, 1))
    points = fit_projection(codes).transform(codes)
    np.testing.assert_array_equal(points[:, 0], codes[:, 0])
    assert np.abs(points[:, 1]).max() <= 1
    middle, tail = np.abs(codes[:, 0]) < 0.2, np.abs(codes[:, 0]) > 1.9
    expected = np.exp(-(2**2) / 2)  # density of the standard normal at 2, relative to that at 0
    ratio = np.abs(points[tail, 1]).max() / np.abs(points[middle, 1]).max()
    assert ratio == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("latent_dim", [1, 2, 3, 16])
@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_collapsed_and_diverged_encoders_still_have_a_picture(latent_dim, value):
    frames = latent_frames([np.full((50, latent_dim), value)], np.zeros(50, int), [1], [0.0])
    assert frames[0].dtype == np.uint8


@pytest.mark.parametrize("latent_dim", [1, 2, 16])
def test_frames_have_one_size_and_one_for_each_epoch(latent_dim):
    means, labels = clusters(latent_dim=latent_dim)
    frames = latent_frames([means * scale for scale in (0.1, 0.5, 1)], labels, [8, 9, 10], [99.9, 100, 0.01])
    assert len(frames) == 3
    assert len({frame.shape for frame in frames}) == 1
    assert 640 <= frames[0].shape[1] <= 800
    assert not np.array_equal(frames[0], frames[2])


def test_the_projection_is_fitted_once_to_the_last_epoch(monkeypatch):
    calls = recorded_plots(monkeypatch)
    epochs = [clusters(latent_dim=5, seed=seed)[0] for seed in range(3)]
    latent_frames(epochs, None, [1, 2, 3])
    projection = fit_projection(epochs[-1])
    for (points, _, _), means in zip(calls, epochs, strict=True):
        np.testing.assert_allclose(points, projection.transform(means))


def test_limits_are_fixed_over_all_frames_and_hold_every_point(monkeypatch):
    calls = recorded_plots(monkeypatch)
    means, labels = clusters()
    latent_frames([means * 0.1, means * 3, means], labels, [1, 2, 3])
    assert len({options["limits"] for _, _, options in calls}) == 1
    (x_low, x_high), (y_low, y_high) = calls[0][2]["limits"]
    assert x_high - x_low == pytest.approx(y_high - y_low)
    points = np.concatenate([points for points, _, _ in calls])
    assert (points > (x_low, y_low)).all()
    assert (points < (x_high, y_high)).all()


def test_the_title_has_the_epoch_and_the_kl_in_nats(monkeypatch):
    calls = recorded_plots(monkeypatch)
    means, labels = clusters()
    latent_frames([means] * 3, labels, [4, 5, 6], [12.34, 0.0123, float("nan")], title="Means")
    titles = [options["title"] for _, _, options in calls]
    assert titles == ["Means · epoch 4 · KL 12.3 nats", "Means · epoch 5 · KL 0.012 nats", "Means · epoch 6"]


def test_the_same_five_thousand_of_many_points_are_shown_in_each_frame(monkeypatch):
    calls = recorded_plots(monkeypatch)
    means, labels = clusters(count=6000)
    latent_frames([means, means], labels, [1, 2])
    assert [len(points) for points, _, _ in calls] == [5000, 5000]
    np.testing.assert_array_equal(calls[0][0], calls[1][0])
    np.testing.assert_array_equal(calls[0][1], calls[1][1])


def test_the_prior_circle_holds_95_percent_and_stays_in_view_of_a_collapsed_latent(monkeypatch):
    calls = recorded_plots(monkeypatch)
    latent_frames([np.random.default_rng(0).normal(size=(100, 4)) * 1e-3], None, [1])
    assert chi2(2).cdf(latent.PRIOR_RADIUS**2) == pytest.approx(0.95, abs=1e-4)
    (x_low, x_high), _ = calls[0][2]["limits"]
    x = calls[0][2]["prior_centre"][0]
    assert x_low < x - latent.PRIOR_RADIUS < x + latent.PRIOR_RADIUS < x_high


def test_limits_ignore_an_extreme_outlier_but_hold_an_ordinary_tail():
    points = np.random.default_rng(0).normal(size=(5000, 2))
    (ordinary, _), _ = axis_limits([points])
    assert ordinary < points[:, 0].min()
    (low, high), _ = axis_limits([np.concatenate([points, [[1e4, -1e4]]]), points])
    assert -6 < low < high < 6


def test_limits_of_nothing_and_of_one_point_have_an_extent():
    for points in (np.empty((0, 2)), np.full((3, 2), np.nan), np.array([[7.0, 7.0]])):
        (x_low, x_high), (y_low, y_high) = axis_limits([points])
        assert x_low < x_high
        assert y_low < y_high


def test_each_class_has_its_colour_whatever_other_classes_occur():
    means, labels = clusters()
    whole = latent_plot(means, labels)
    part = latent_plot(means[labels == 7], labels[labels == 7])
    assert all(has_colour(whole, colour) for colour in CLASS_COLOURS)
    assert [has_colour(part, colour) for colour in CLASS_COLOURS] == [index == 7 for index in range(10)]


def test_many_classes_and_no_labels_have_a_picture():
    means, _ = clusters()
    for labels in (None, np.arange(300) % 15, np.arange(300) % 100):
        assert latent_plot(means, labels).shape[0] == 630


def test_long_class_names_do_not_run_out_of_the_picture():
    means, labels = clusters(classes=2)
    picture = latent_plot(means, labels, class_names=["a very long class name " * 5, "b"], title="t" * 300)
    assert (picture[:, -4:] == 255).all()


def test_no_two_class_colours_are_confused_with_deficient_colour_vision():
    # Severity 1.0 of Machado, Oliveira & Fernandes 2009, table 1, on linear RGB.
    visions = {
        "normal": np.eye(3),
        "protanopia": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deuteranopia": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    }
    colours = np.array([to_rgb(colour) for colour in CLASS_COLOURS])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    for vision in visions.values():
        seen = np.clip(linear @ np.transpose(vision), 0, 1)
        lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]
        difference = deltaE_ciede2000(lab[:, None], lab[None]) + 1000 * np.eye(len(lab))
        assert difference.min() > 10


def test_drawing_is_the_same_in_threads_and_leaves_pyplot_alone():
    means, labels = clusters()
    alone = latent_plot(means, labels)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: latent_plot(means, labels), range(8)))
    assert all(np.array_equal(alone, picture) for picture in together)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("means", "labels", "options", "message"),
    [
        (np.zeros((3, 3)), None, {}, "shape"),
        (np.zeros((3, 2)), [0, 1], {}, "expected 3 integers"),
        (np.zeros((3, 2)), [0.5, 1, 2], {}, "integers"),
        (np.zeros((3, 2)), [0, -1, 2], {}, "0 or more"),
        (np.zeros((3, 2)), [0, 1, 2], {"class_names": ["a", "b"]}, "no name"),
    ],
)
def test_what_cannot_be_plotted_is_refused(means, labels, options, message):
    with pytest.raises(InputError, match=message):
        latent_plot(means, labels, **options)


def test_frames_of_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="2, 1 and 1"):
        latent_frames([np.zeros((3, 2))] * 2, None, [1])
    with pytest.raises(InputError, match="one shape"):
        latent_frames([np.zeros((3, 2)), np.zeros((4, 2))], None, [1, 2])
