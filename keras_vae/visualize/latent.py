"""The latent space as a scatter plot of posterior means: one picture, or frames in which only the points move."""

from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from keras_vae.errors import InputError
from keras_vae.visualize.projection import Points, fit_projection, latent_codes
from keras_vae.visualize.scatter import checked_labels, class_legend, draw_colour_bar, draw_points
from keras_vae.visualize.style import (
    INK,
    LABEL_SIZE,
    SMALLEST_SIZE,
    SOFT_INK,
    Picture,
    add_text,
    add_title,
    latent_name,
    new_figure,
    render,
    style_axes,
    text_width,
)

Limits = tuple[tuple[float, float], tuple[float, float]]
"""((x low, x high), (y low, y high))."""

# Root of the 0.95 quantile of chi-squared with 2 degrees of freedom: the radius that holds 95% of a standard normal.
PRIOR_RADIUS = 2.4477

_SIDE = 520
_LEFT, _TOP, _BOTTOM = 74, 48, 62
_MOST_POINTS = 5000
_PRIOR_INK = "#8a949e"


def latent_plot(
    means: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    title: str = "Latent space",
    limits: Limits | None = None,
    class_names: Sequence[str] | None = None,
    axis_names: tuple[str, str] = (latent_name(0), latent_name(1)),
    has_equal_scales: bool = True,
    prior_centre: tuple[float, float] | None = None,
) -> Picture:
    """A scatter of points in the plane, coloured by class, with the legend beside it.

    Up to 10 classes have a colour each, up to 20 a colour and a marker; more are shown on a continuous scale.

    Args:
        means: (N, 2); points that are not finite are not drawn.
        labels: (N,) integers from 0, or None for one colour.
        title: above the plot.
        limits: fixed axes; points outside are counted under the plot. Default: ``axis_limits([means])``.
        class_names: the name of each class, by label. Default: the label itself.
        axis_names: what the axes are.
        has_equal_scales: whether a unit is as long on both axes; if not, y has no numbers.
        prior_centre: draw the circle that holds 95% of a standard normal around this point; None for none.

    Returns:
        uint8 RGB, (H, W, 3), about 720 pixels wide.

    Raises:
        InputError: if the shapes do not match, or a label has no name.
    """
    points = latent_codes(means, latent_dim=2)
    classes = checked_labels(labels, len(points), class_names)
    limits = limits or axis_limits([points], is_square=has_equal_scales)
    handles = class_legend(classes, class_names)
    if prior_centre is not None:
        handles.append(Line2D([], [], color=_PRIOR_INK, linestyle=(0, (2.5, 1.8)), label="prior, 95%"))
    widest = max((text_width(str(handle.get_label()), LABEL_SIZE) for handle in handles), default=0)
    has_side = classes is not None or prior_centre is not None
    width = _LEFT + _SIDE + (round(max(widest, 70)) + 62 if has_side else 24)
    height = _TOP + _SIDE + _BOTTOM
    figure = new_figure(width, height)
    axes = figure.add_axes((_LEFT / width, _BOTTOM / height, _SIDE / width, _SIDE / height))
    style_axes(axes)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    if has_equal_scales:
        axes.set_aspect("equal", adjustable="box")
    else:
        axes.tick_params(axis="y", labelleft=False)
    axes.set_xlabel(axis_names[0], parse_math=False)
    axes.set_ylabel(axis_names[1], parse_math=False)
    if prior_centre is not None:
        dashed = {"edgecolor": _PRIOR_INK, "linestyle": (0, (4, 3))}
        axes.add_patch(Circle(prior_centre, PRIOR_RADIUS, fill=False, zorder=1, **dashed))
    mapped = draw_points(axes, points, classes)
    add_title(figure, title, left=_LEFT, top=16, width=width - _LEFT - 12)
    if handles:
        axes.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(1.015, 1.01),
            frameon=False,
            fontsize=LABEL_SIZE,
            labelcolor=INK,
            handletextpad=0.3,
            handlelength=1.6,
            borderaxespad=0,
        )
    if mapped is not None:
        place = ((_LEFT + _SIDE + 20) / width, _BOTTOM / height, 14 / width, (_SIDE - 60) / height)
        draw_colour_bar(figure.add_axes(place), mapped)
    outside = _count_outside(points, limits)
    if outside:
        text = f"{outside:,} of {len(points):,} points outside"
        add_text(figure, text, _LEFT + _SIDE, height - 12, size=SMALLEST_SIZE, colour=SOFT_INK, horizontal="right")
    return render(figure)


def latent_frames(
    means_per_epoch: Sequence[ArrayLike],
    labels: ArrayLike | None,
    epochs: Sequence[int],
    kl_per_epoch: Sequence[float] | None = None,
    class_names: Sequence[str] | None = None,
    *,
    title: str = "Test posterior means",
    shows_prior: bool = True,
) -> list[Picture]:
    """One ``latent_plot`` for each epoch, in which only the points move.

    The projection is fitted once, to the last epoch, and the axes are the same in all frames. If there are more
    than 5,000 points, every frame shows the same 5,000, chosen at random.

    Args:
        means_per_epoch: for each epoch the posterior means (N, L) of the same images.
        labels: (N,) integers from 0, or None.
        epochs: the number of each epoch, for the title.
        kl_per_epoch: KL from the prior in nats per image, for the title; NaN or None shows none.
        class_names: the name of each class, by label.
        title: what the frames show, before the epoch.
        shows_prior: draw the circle that holds 95% of the prior's projection, and keep it in view (not for L
            = 1).

    Returns:
        one picture for each epoch, all of one size.

    Raises:
        InputError: if the sequences differ in length or the means in shape, or without an epoch.
    """
    kl = [float("nan")] * len(epochs) if kl_per_epoch is None else list(kl_per_epoch)
    if not len(means_per_epoch) == len(epochs) == len(kl):
        raise InputError(
            "one set of means, one epoch and one KL belong to a frame, "
            f"got {len(means_per_epoch)}, {len(epochs)} and {len(kl)}"
        )
    codes = [latent_codes(means) for means in means_per_epoch]
    if len({code.shape for code in codes}) != 1:
        shapes = sorted({code.shape for code in codes})
        raise InputError(f"means of every epoch must have one shape (N, L), got {shapes}")
    projection = fit_projection(codes[-1])
    shown = np.sort(np.random.default_rng(0).permutation(len(codes[-1]))[:_MOST_POINTS])
    points = [projection.transform(code)[shown] for code in codes]
    classes = checked_labels(labels, len(codes[-1]), class_names)
    centre: tuple[float, float] | None = None
    minimum: Limits | None = None
    if shows_prior and projection.is_metric:
        # A projection onto two orthonormal directions takes the standard normal to a standard normal around
        # its image of 0.
        x, y = (float(value) for value in projection.transform(np.zeros((1, codes[-1].shape[1])))[0])
        centre, minimum = (x, y), ((x - PRIOR_RADIUS, x + PRIOR_RADIUS), (y - PRIOR_RADIUS, y + PRIOR_RADIUS))
    limits = axis_limits(points, minimum=minimum, is_square=projection.is_metric)
    return [
        latent_plot(
            epoch_points,
            None if classes is None else classes[shown],
            title=f"{title} · epoch {epoch}" + _kl_text(divergence),
            limits=limits,
            class_names=class_names,
            axis_names=projection.axis_names,
            has_equal_scales=projection.is_metric,
            prior_centre=centre,
        )
        for epoch_points, epoch, divergence in zip(points, epochs, kl, strict=True)
    ]


def axis_limits(
    points_per_frame: Sequence[ArrayLike], *, minimum: Limits | None = None, is_square: bool = True
) -> Limits:
    """Axes that hold the points of all frames and stay the same in each.

    Everything is inside unless there are extreme outliers: an axis reaches at most a quarter of the spread between the
    0.5 and the 99.5 percentile beyond either of them.

    Args:
        points_per_frame: (N, 2) for each frame; values that are not finite are ignored.
        minimum: limits that the axes include in any case.
        is_square: make both axes equally long, for equal scales.
    """
    points = np.concatenate([latent_codes(points, latent_dim=2) for points in points_per_frame])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        points = np.zeros((1, 2))
    near, far = np.percentile(points, [0.5, 99.5], axis=0)
    low = np.maximum(points.min(axis=0), near - (far - near) / 4)
    high = np.minimum(points.max(axis=0), far + (far - near) / 4)
    if minimum is not None:
        low = np.minimum(low, [minimum[0][0], minimum[1][0]])
        high = np.maximum(high, [minimum[0][1], minimum[1][1]])
    middle, half = (low + high) / 2, (high - low) / 2 * 1.05
    half = np.full(2, half.max()) if is_square else half
    half = np.where(half > 1e-9 * np.maximum(1, np.abs(middle)), half, 1.0)
    (x_low, y_low), (x_high, y_high) = middle - half, middle + half
    return (float(x_low), float(x_high)), (float(y_low), float(y_high))


def _kl_text(kl: float) -> str:
    if not np.isfinite(kl):
        return ""
    return f" · KL {kl:.1f} nats" if kl >= 1 else f" · KL {kl:.3f} nats"


def _count_outside(points: Points, limits: Limits) -> int:
    low, high = np.array(limits).T
    finite = np.isfinite(points).all(axis=1)
    return int((finite & ((points < low) | (points > high)).any(axis=1)).sum())
