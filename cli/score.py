"""``keras-vae score``: how unusual images are, beside normal ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.config import SCORING_METHODS
from keras_vae.errors import InputError

from .options import json_option, run_argument, seed_option, with_data_options
from .outputs import check_output, check_output_folder, writing
from .runtime import class_of_images, find_label, open_dataset, open_model, say
from .values import Choice, FilePath

if TYPE_CHECKING:
    import numpy as np

    from keras_vae.config import DataConfig
    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE
    from keras_vae.scoring import Scorer

    from .scored_images import ScoredImages


@click.command("score", short_help="Find the images that are unlike the others.")
@run_argument
@click.argument("images", type=FilePath(), nargs=-1)
@with_data_options
@click.option("--against", metavar="E", help="Data set of anomalies: its test images are scored too, for the AUROC.")
@click.option(
    "--method",
    type=Choice(SCORING_METHODS),
    default="auto",
    show_default=True,
    help="What looks at the images: the VAE, VGG16's features by position (padim) or anywhere (patchcore), or all.",
)
@click.option(
    "--threshold-false-alarms",
    "false_alarms",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Also say which images are unusual, at this rate of false alarms among normal images, such as 0.01.",
)
@click.option("--label", help="Class of IMAGES, which a conditional model needs.")
@click.option("--heatmaps", type=FilePath(), metavar="DIR", help="Folder for pictures of where images are unusual.")
@click.option("--gallery", type=FilePath(), metavar="FILE", help="HTML page of the most unusual images.")
@click.option(
    "--top", type=click.IntRange(min=1), default=100, show_default=True, help="Images in --gallery and --heatmaps."
)
@click.option(
    "--scorer", "scorer_file", type=FilePath(), metavar="FILE", help="Also keep the fitted scorer, for export --scorer."
)
@click.option("--out", type=FilePath(), default=Path("scores.csv"), show_default=True, help="CSV file to write.")
@click.option("--overwrite", is_flag=True, help="Replace what is at --out, --gallery, --scorer and in --heatmaps.")
@seed_option
@json_option
def command(
    run: Path,
    images: tuple[Path, ...],
    dataset: str | None,
    data_dir: str | None,
    against: str | None,
    method: str,
    false_alarms: float | None,
    label: str | None,
    heatmaps: Path | None,
    gallery: Path | None,
    top: int,
    scorer_file: Path | None,
    out: Path,
    overwrite: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Score IMAGES, or the test images of --dataset, by how unlike normal images they are.

    Normal images are those that RUN was trained on. For a .keras file, and where those are out of reach, they are those
    of --dataset. Their training images show what is normal. Their test images, which the model has not seen, calibrate:
    a score of 0.99 means more unusual than 99% of them. Test images of classes that training does not have are
    anomalies, as in MVTec AD's folders. When test images of the same data are scored, each half is compared with the
    other.

    \b
    Examples:
      keras-vae score runs/mnist-latent2 --top 20 --gallery unusual.html
      keras-vae score runs/parts new/*.png --threshold-false-alarms 0.01 --heatmaps heatmaps
      keras-vae score runs/parts --threshold-false-alarms 0.01 --scorer scorer.keras
      keras-vae score runs/mnist-latent16 --against fashion_mnist --json
    """
    roc = out.with_name(f"{out.stem}_roc.png")
    check_output(out, overwrite=overwrite, suffix=".csv")
    if gallery is not None:
        check_output(gallery, overwrite=overwrite, suffix=".html", option="--gallery")
    if scorer_file is not None:
        check_output(scorer_file, overwrite=overwrite, suffix=".keras", option="--scorer")
    if heatmaps is not None:
        check_output_folder(heatmaps, (), overwrite=overwrite)
    if scorer_file is not None and false_alarms is None:
        raise InputError("a scorer has a threshold: give its rate with --threshold-false-alarms, such as 0.01")
    if images and dataset is not None and against is not None:
        raise InputError("score either IMAGES or a --dataset beside --against; leave one of them out")
    vae, config = open_model(run)
    number = class_of_images(vae, run, label) if images else find_label(vae, run, label)
    import numpy as np

    from keras_vae.scoring.calibration import false_alarm_threshold

    from .scored_images import files, normal_images, of_anomalies, test_images

    given = open_dataset(run, config, dataset, data_dir, vae) if dataset else None
    normal = given if config is None and given else _own_images(run, config, data_dir, vae, instead=given)
    fitted, held_out = normal_images(normal)
    sets: list[ScoredImages] = []
    if images:
        sets.append(files(images, vae, config, number))
    else:
        sets.append(test_images(given or normal, normal))
    if against is not None:
        sets.append(of_anomalies(open_dataset(run, config, against, data_dir, vae)))
    if false_alarms is not None:
        # Before minutes of work. Of images that are compared with each other, half calibrates.
        compared = [len(held_out[0]), *(one.own_halves[1].size for one in sets if one.calibrates)]
        false_alarm_threshold(np.zeros(min(compared)), false_alarms)
    if any(one.is_normal is not None and not one.is_normal.all() for one in sets):
        check_output(roc, overwrite=overwrite)
    from keras_vae.scoring import Scorer

    say(f"learning what is normal from {len(fitted[0]):,} images, and comparing with {len(held_out[0]):,} others")
    labels = (fitted[1], held_out[1]) if vae.num_classes is not None else (None, None)
    scorer = Scorer(vae, method, seed) if false_alarms is None else Scorer(vae, method, seed, false_alarms)
    scorer.fit(fitted[0], labels[0], held_out=held_out[0], held_out_labels=labels[1])
    if scorer_file is not None:
        with writing(scorer_file) as beside:
            scorer.save(beside)
        say(f"wrote {scorer_file}")
    tables = [_scores(scorer, one, false_alarms) for one in sets]
    _write_csv(out, sets, tables)
    report = {
        "model": str(run),
        "method": method,
        "normal": {"name": normal.name, "fitted": len(fitted[0]), "held_out": len(held_out[0])},
        **_summary(sets, tables, scorer, false_alarms),
        "out": str(out),
    }
    if "auroc" in report:
        from keras_vae.visualize import write_png
        from keras_vae.visualize.roc import roc_curves

        with writing(roc) as beside:
            write_png(beside, roc_curves(*_known(sets, tables), title=f"Normal and unusual images · {run.name}"))
        say(f"wrote {roc}")
    if heatmaps is not None or gallery is not None:
        _write_pictures(scorer, sets, tables, top, heatmaps, gallery, title=f"{run.name} · {method}")
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(_table(report)))


def _own_images(
    run: Path, config: DataConfig | None, data_dir: str | None, vae: VAE, *, instead: ImageDataset | None
) -> ImageDataset:
    """The data that the run was trained on, or ``instead`` if that is the same or those are out of reach.

    Raises:
        InputError: if there are neither.
    """
    if instead is not None and config is not None and config.dataset == instead.name:
        return instead
    try:
        return open_dataset(run, config, None, data_dir, vae)
    except InputError as error:
        if instead is None:
            raise
        say(f"{error}")
        say(f"so that images of {instead.name} are compared with others of {instead.name}")
        return instead


def _scores(scorer: Scorer, images: ScoredImages, false_alarms: float | None) -> dict[str, np.ndarray]:
    """Column → its value for each image: measures, ``score`` and, with a rate of ``false_alarms``, ``unusual``."""
    import numpy as np

    from keras_vae.scoring.calibration import Calibration

    of_model = scorer.vae.num_classes is not None
    parts = ((pixels, labels if of_model else None) for pixels, labels in images.parts())
    measures = np.concatenate([scorer.measure(*part) for part in parts])
    columns = {name: measures[:, place] for place, name in enumerate(scorer.measure_names)}
    if "negative_elbo" in columns:
        columns["elbo"] = -columns.pop("negative_elbo")
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


def _write_csv(out: Path, sets: list[ScoredImages], tables: list[dict[str, np.ndarray]]) -> None:
    is_known = any(images.is_normal is not None for images in sets)
    with writing(out) as beside, beside.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", *(["anomaly"] if is_known else []), *tables[0]])
        for images, table in zip(sets, tables, strict=True):
            for row, name in enumerate(images.names):
                known = "" if images.is_normal is None else int(not images.is_normal[row])
                values = (int(found[row]) if column == "unusual" else found[row] for column, found in table.items())
                writer.writerow([name, images.label(row), *([known] if is_known else []), *values])


def _known(sets: list[ScoredImages], tables: list[dict[str, np.ndarray]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Whether each image that is known is an anomaly, and its measures and score, larger for more unusual ones."""
    import numpy as np

    known = [
        (images.is_normal, table) for images, table in zip(sets, tables, strict=True) if images.is_normal is not None
    ]
    columns = {name: np.concatenate([table[name] for _, table in known]) for name in known[0][1] if name != "unusual"}
    if "elbo" in columns:
        columns["elbo"] = -columns["elbo"]
    return np.concatenate([~is_normal for is_normal, _ in known]), columns


def _summary(
    sets: list[ScoredImages], tables: list[dict[str, np.ndarray]], scorer: Scorer, false_alarms: float | None
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
        anomalies, columns = _known(sets, tables)
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


def _write_pictures(
    scorer: Scorer,
    sets: list[ScoredImages],
    tables: list[dict[str, np.ndarray]],
    top: int,
    heatmaps: Path | None,
    gallery: Path | None,
    *,
    title: str,
) -> None:
    """The ``top`` most unusual images with reconstruction and heat map, as PNG files and as one page."""
    import numpy as np
    from PIL import Image

    from keras_vae.reports.gallery import GalleryItem, gallery_html

    places = [(table["score"][row], one, row) for one, table in enumerate(tables) for row in range(len(table["score"]))]
    places = sorted(places, key=lambda place: -place[0])[:top]
    drawn: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for one, images in enumerate(sets):
        rows = [row for _, other, row in places if other == one]
        drawn |= zip(((one, row) for row in rows), _pictures(scorer, images, np.array(rows, int)), strict=True)
    items = []
    for rank, (score, one, row) in enumerate(places, start=1):
        images, table, pictures = sets[one], tables[one], drawn[one, row]
        verdict = "unusual" if "unusual" in table and table["unusual"][row] else ""
        items.append(GalleryItem(images.names[row], images.label(row), float(score), verdict, pictures))
        if heatmaps is not None:
            heatmaps.mkdir(exist_ok=True)
            with writing(heatmaps / f"{rank:05d}_{Path(images.names[row]).stem}.png") as beside:
                Image.fromarray(pictures["heat map"]).save(beside, "PNG")
    if heatmaps is not None:
        say(f"wrote {len(items):,} heat maps into {heatmaps}")
    if gallery is not None:
        note = "The image, its reconstruction, and where it is unusual: bright is ten times the mean of normal images."
        with writing(gallery) as beside:
            beside.write_text(gallery_html(items, title=f"Most unusual images · {title}", note=note), encoding="utf-8")
        say(f"wrote {gallery}")


def _pictures(scorer: Scorer, images: ScoredImages, rows: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Each row's image, reconstruction and heat map, as bytes."""
    import numpy as np
    from keras.ops import convert_to_numpy

    from keras_vae.models.batches import images_at_a_time
    from keras_vae.visualize.heat import heat_overlay

    size = images_at_a_time(scorer.vae.image_shape)
    for part in (rows[start : start + size] for start in range(0, len(rows), size)):
        pixels = images.read(part)
        labels = None if images.labels is None or scorer.vae.num_classes is None else images.labels[part]
        reconstructions = np.rint(255 * convert_to_numpy(scorer.vae.reconstruct(pixels, labels))).astype(np.uint8)
        for image, reconstruction, heat in zip(pixels, reconstructions, scorer.heatmap(pixels, labels), strict=True):
            yield {"image": image, "reconstruction": reconstruction, "heat map": heat_overlay(image, heat)}


def _table(report: dict[str, Any]) -> Iterator[str]:
    normal = report["normal"]
    yield f"the scores of {report['images']:,} images, beside {normal['held_out']:,} of {normal['name']}"
    yield f"  are in {report['out']}"
    if "unusual" in report:
        yield (
            f"  {report['unusual']:,} are unusual: their score is above {report['threshold']:.4f}, which a share of "
            f"{report['false_alarms']:g} of normal images is too"
        )
    if "auroc" in report:
        yield f"  AUROC {report['auroc']:.4f}, average precision {report['average_precision']:.4f}; by measure:"
        for name, auroc in sorted(report["measures"].items(), key=lambda item: -item[1]):
            yield f"    {name:<16}{auroc:.4f}"
