"""Curves of metrics: a panel for each metric that has a value, and none for the others."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from keras_vae.errors import InputError
from keras_vae.visualize import compare_curves, curves, metric_curves
from keras_vae.visualize.style import CLASS_COLOURS


@pytest.fixture
def drawn(monkeypatch):
    """The axes of each picture, as they are when it is rendered."""
    figures = []
    render = curves.render

    def keep(figure):
        picture = render(figure)
        figures.append(figure)
        return picture

    monkeypatch.setattr(curves, "render", keep)
    return figures


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def row_tops(figure):
    return sorted({round(axes.get_position().y1, 6) for axes in figure.axes}, reverse=True)


def is_coloured(picture, colour):
    return (picture == np.rint(np.array(to_rgb(colour)) * 255)).all(axis=-1).any()


def test_quality_stands_over_the_parts_of_the_objective(drawn):
    metrics = {name: [1.0, 2.0, 3.0] for name in ("kl", "elbo", "psnr", "ssim", "mse", "nll", "learning_rate")}
    picture = metric_curves([1, 2, 3], metrics, title="Test")
    assert titles(drawn[0]) == ["MSE", "SSIM", "PSNR [dB]", "ELBO [nats]", "NLL [nats]", "KL [nats]"]
    tops = [round(axes.get_position().y1, 6) for axes in drawn[0].axes]
    assert tops == [tops[0]] * 3 + [tops[3]] * 3
    assert tops[0] > tops[3]
    assert 1200 <= picture.shape[1] <= 1500


def test_every_panel_of_one_run_has_its_last_value_below_its_title(drawn):
    names = (*curves.QUALITY_PANELS, *curves.OBJECTIVE_PANELS)
    metric_curves([1, 2], {name: [0.5, -1.25e-5] for name in names})
    last = [text for axes in drawn[0].axes for text in axes.texts]
    assert [text.get_text() for text in last] == ["last −1.25e−05"] * len(names)
    for axes, text in zip(drawn[0].axes, last, strict=True):
        title = axes._left_title.get_window_extent()
        below = text.get_window_extent()
        assert below.y1 <= title.y0 + 1  # boxes of text have a pixel of air
        assert max(title.x1, below.x1) <= axes.get_window_extent().x1 + 5


def test_metrics_without_a_finite_value_have_no_panel(drawn):
    nan = float("nan")
    metric_curves([1, 2], {"mse": [0.1, 0.05], "ssim": [nan, nan], "kl": ["", None], "elbo": [nan, float("inf")]})
    assert titles(drawn[0]) == ["MSE"]


def test_a_single_epoch_and_a_value_between_gaps_are_visible(drawn):
    picture = metric_curves([1], {"mse": [0.1]})
    assert is_coloured(picture, CLASS_COLOURS[0])
    picture = metric_curves([1, 2, 3], {"mse": [float("nan"), 0.1, ""]})
    assert is_coloured(picture, CLASS_COLOURS[0])


@pytest.mark.parametrize("count", [1, 2, 3, 20, 500])
def test_epoch_ticks_are_whole_numbers(drawn, count):
    metric_curves(range(1, count + 1), dict.fromkeys(curves.OBJECTIVE_PANELS, np.arange(count) + 0.5))
    for axes in drawn[0].axes:
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)


def test_values_of_any_size_stay_inside_the_picture(drawn):
    names = (*curves.QUALITY_PANELS, *curves.OBJECTIVE_PANELS)
    for scale in (1e-9, 1e-4, 1, -123456.7, 1e12):
        picture = metric_curves([1, 2, 3], {name: np.array([1.0, 2.0, 4.0]) * scale for name in names})
        figure = drawn.pop()
        boxes = [axes.get_tightbbox() for axes in figure.axes]
        assert all(box.x0 >= 0 and box.x1 <= picture.shape[1] and box.y0 >= 0 for box in boxes)
        for index, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def test_nothing_to_draw_still_is_a_picture():
    for picture in (metric_curves([], {}), metric_curves([], {"mse": []}), compare_curves({})):
        assert picture.dtype == np.uint8


def test_runs_over_one_another_have_a_colour_each_and_share_the_epochs(drawn):
    runs = {
        "latent 2": ([1, 2], {"mse": [3.0, 2.0], "kl": [1.0, 1.0]}),
        "latent 4": ([1, 2, 3], {"mse": [2.0, 1.0, 0.5]}),
        "not started": ([], {}),
    }
    picture = compare_curves(runs)
    assert titles(drawn[0]) == ["MSE", "KL [nats]"]
    assert [len(axes.lines) for axes in drawn[0].axes] == [2, 1]
    assert is_coloured(picture, CLASS_COLOURS[0])
    assert is_coloured(picture, CLASS_COLOURS[1])
    first, second = (axes.get_xlim() for axes in drawn[0].axes)
    assert first == second
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == list(runs)


def test_a_metric_with_another_number_of_values_is_refused():
    with pytest.raises(InputError, match="kl: expected one value for each of 2 epochs, got 3"):
        metric_curves([1, 2], {"kl": [1.0, 2.0, 3.0]})


def test_the_arrays_of_the_caller_are_not_changed():
    values = np.array([1.0, np.inf])
    metric_curves([1, 2], {"mse": values})
    assert np.isinf(values[1])


def test_panels_are_axes_of_their_own_figure(drawn):
    metric_curves([1, 2], {"mse": [1.0, 2.0]})
    assert all(isinstance(axes, Axes) and axes.figure is drawn[0] for axes in drawn[0].axes)
