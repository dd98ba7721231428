"""ROC curves: how many anomalies are found at each rate of false alarms."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from keras_vae.visualize.style import (
    CLASS_COLOURS,
    INK,
    LABEL_SIZE,
    SOFT_INK,
    TICK_SIZE,
    Picture,
    new_figure,
    render,
    style_axes,
)

_SIDE = 720


def roc_curves(
    anomalies: NDArray[np.bool_], measures: Mapping[str, NDArray[np.floating]], *, title: str = "ROC"
) -> Picture:
    """The curve of each measure, with the area under it in the legend.

    Args:
        anomalies: whether each image is an anomaly, (N,), with some of either kind.
        measures: name → how unusual each image is, (N,); ``score`` is drawn thicker.
        title: what the picture shows.
    """
    from sklearn.metrics import roc_auc_score, roc_curve  # deferred: it takes a second

    figure = new_figure(_SIDE, _SIDE)
    axes = figure.add_axes((0.1, 0.1, 0.86, 0.82))
    style_axes(axes)
    areas = {name: float(roc_auc_score(anomalies, found)) for name, found in measures.items()}
    for place, name in enumerate(sorted(areas, key=lambda name: (name != "score", -areas[name]))):
        false, true, _ = roc_curve(anomalies, measures[name])
        is_score = name == "score"
        axes.plot(
            false,
            true,
            label=f"{areas[name]:.3f} {name}",
            color=INK if is_score else CLASS_COLOURS[place % len(CLASS_COLOURS)],
            linewidth=2.6 if is_score else 1.2,
            zorder=3 if is_score else 2,
        )
    axes.plot((0, 1), (0, 1), color=SOFT_INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xlabel("false alarms: share of normal images", fontsize=LABEL_SIZE, color=SOFT_INK)
    axes.set_ylabel("share of anomalies that are found", fontsize=LABEL_SIZE, color=SOFT_INK)
    axes.set_title(title, loc="left", fontsize=LABEL_SIZE + 2, color=INK)
    legend = axes.legend(loc="lower right", fontsize=TICK_SIZE, frameon=False, title="area under the curve")
    legend.get_title().set_fontsize(TICK_SIZE)
    return render(figure)
