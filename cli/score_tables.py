"""The figures of ``keras-vae score``: of each image, as a CSV file, and of all of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .outputs import writing

if TYPE_CHECKING:
    from keras_vae.scoring import Scorer

    from .scored_images import ScoredImages

Table = dict[str, np.ndarray]
# Column → the measure that it is the negative of.
NEGATED = {"elbo": "negative_elbo", "log_likelihood": "importance_nll"}


def scores_of(scorer: Scorer, images: ScoredImages, false_alarms: float | None) -> Table:
    """Column → its value for each image: measures, ``score`` and, with a rate of ``false_alarms``, ``unusual``."""
    from keras_vae.scoring.calibration import Calibration

    of_model = scorer.vae.num_classes is not None
    parts = ((pixels, labels if of_model else None) for pixels, labels in images.parts())
    measures = np.concatenate([scorer.measure(*part) for part in parts])
    columns = {name: measures[:, place] for place, name in enumerate(scorer.measure_names)}
    for name, negated in NEGATED.items():
        if negated in columns:
            columns[name] = -columns.pop(negated)
    # Each image with the calibration that it is compared with.
    compared = [(np.arange(len(measures)), scorer.calibration)]
    halves = images.own_halves
    if images.calibrates and len(halves[1]) > 1:
        compared += [
            (rows, Calibration(measures[others], scorer.calibration.units)) for rows, others in (halves, halves[::-1])
        ]
    scores, unusual = np.empty(len(measures)), np.empty(len(measures), bool)
    for rows, calibration in compared:
        scores[rows] = calibration.scores(measures[rows])
        if false_alarms is not None:
            unusual[rows] = scores[rows] > calibration.threshold(false_alarms)
    return columns | {"score": scores} | ({} if false_alarms is None else {"unusual": unusual})


def write_csv(out: Path, sets: list[ScoredImages], tables: list[Table]) -> None:
    is_known = any(images.is_normal is not None for images in sets)
    with writing(out) as beside, beside.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", *(["anomaly"] if is_known else []), *tables[0]])
        for images, table in zip(sets, tables, strict=True):
            for row, name in enumerate(images.names):
                known = "" if images.is_normal is None else int(not images.is_normal[row])
                values = (int(found[row]) if column == "unusual" else found[row] for column, found in table.items())
                writer.writerow([name, images.label(row), *([known] if is_known else []), *values])


def known(sets: list[ScoredImages], tables: list[Table]) -> tuple[np.ndarray, Table]:
    """Whether each image that is known is an anomaly, and its measures and score, larger for more unusual ones."""
    known = [
        (images.is_normal, table) for images, table in zip(sets, tables, strict=True) if images.is_normal is not None
    ]
    columns = {name: np.concatenate([table[name] for _, table in known]) for name in known[0][1] if name != "unusual"}
    for name in NEGATED.keys() & columns.keys():
        columns[name] = -columns[name]
    return np.concatenate([~is_normal for is_normal, _ in known]), columns


def summary(
    sets: list[ScoredImages], tables: list[Table], scorer: Scorer, false_alarms: float | None
) -> dict[str, Any]:
    """Number of images, threshold and verdicts and, where anomalies are known, the AUROC of each measure."""
    summary: dict[str, Any] = {"images": sum(len(images.names) for images in sets)}
    if false_alarms is not None:
        summary |= {
            "false_alarms": false_alarms,
            "threshold": scorer.calibration.threshold(false_alarms),
            "unusual": sum(int(table["unusual"].sum()) for table in tables),
        }
    if any(images.is_normal is not None for images in sets):
        anomalies, columns = known(sets, tables)
        if 0 < anomalies.sum() < len(anomalies):
            from sklearn.metrics import average_precision_score, roc_auc_score

            scores = columns.pop("score")
            summary |= {
                "anomalies": int(anomalies.sum()),
                "auroc": float(roc_auc_score(anomalies, scores)),
                "average_precision": float(average_precision_score(anomalies, scores)),
                "measures": {name: float(roc_auc_score(anomalies, found)) for name, found in columns.items()},
            }
    return summary


def lines_of(report: dict[str, Any]) -> Iterator[str]:
    normal = report["normal"]
    yield f"the scores of {report['images']:,} images, beside {normal['held_out']:,} of {normal['name']}"
    yield f"  are in {report['out']}"
    if "unusual" in report:
        yield (
            f"  unusual: {report['unusual']:,}, with a score above {report['threshold']:.4f}, which a share of "
            f"{report['false_alarms']:g} of normal images has too"
        )
    if "auroc" in report:
        yield f"  AUROC {report['auroc']:.4f}, average precision {report['average_precision']:.4f}; by measure:"
        if "pixel_auroc" in report:
            yield f"    {'pixels of masks':<16}{report['pixel_auroc']:.4f}"
        for name, auroc in sorted(report["measures"].items(), key=lambda item: -item[1]):
            yield f"    {name:<16}{auroc:.4f}"
