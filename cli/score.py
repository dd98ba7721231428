"""``keras-vae score``: how unusual images are, beside normal ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keras_vae.config import SCORING_METHODS
from keras_vae.errors import InputError

from .options import json_option, run_argument, seed_option, with_data_options
from .outputs import check_output, check_output_folder, writing
from .runtime import class_of_images, exported_version, find_label, open_dataset, open_model, say
from .scorers import check_nothing_is_fitted, fitted_scorer, kept_scorer
from .values import Choice, FilePath

if TYPE_CHECKING:
    from keras_vae.config import DataConfig
    from keras_vae.data import ImageDataset
    from keras_vae.models import VAE

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
@click.option(
    "--importance-samples",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Also estimate each image's log-likelihood, with this many draws of z.",
)
@click.option(
    "--regret-steps",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Also measure each image's likelihood regret, with this many steps that optimise its posterior.",
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
@click.option(
    "--use-scorer", type=FilePath(), metavar="FILE", help="Score with this scorer, which --scorer kept; none is fitted."
)
@click.option("--out", type=FilePath(), default=Path("scores.csv"), show_default=True, help="CSV file to write.")
@click.option("--overwrite", is_flag=True, help="Replace what is at --out, --gallery, --scorer and in --heatmaps.")
@seed_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    run: Path,
    images: tuple[Path, ...],
    dataset: str | None,
    data_dir: str | None,
    against: str | None,
    method: str,
    false_alarms: float | None,
    importance_samples: int,
    regret_steps: int,
    label: str | None,
    heatmaps: Path | None,
    gallery: Path | None,
    top: int,
    scorer_file: Path | None,
    use_scorer: Path | None,
    out: Path,
    overwrite: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Score IMAGES, or the test images of --dataset, by how unlike normal images they are.

    Normal images are those that RUN was trained on. For a .keras file, and where those are out of reach, they are those
    of --dataset. Their training images show what is normal. Their test images, which the model has not seen, calibrate:
    a score of 0.99 means more unusual than 99% of them. Test images of classes that training does not have are
    anomalies, as in MVTec AD's folders, whose masks in ground_truth give the AUROC of pixels. When test images of the
    same data are scored, each half is compared with the other. A scorer that was kept knows what is normal, so that
    scoring IMAGES with it takes no data set.

    \b
    Examples:
      keras-vae score runs/mnist-latent2 --top 20 --gallery unusual.html
      keras-vae score runs/parts new/*.png --threshold-false-alarms 0.01 --heatmaps heatmaps
      keras-vae score runs/parts --threshold-false-alarms 0.01 --scorer scorer.keras
      keras-vae score runs/parts new/*.png --use-scorer scorer.keras
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
    is_exported = exported_version(run) is not None
    if is_exported and (scorer_file is not None or use_scorer is not None):
        option = "--use-scorer" if scorer_file is None else "--scorer"
        raise InputError(f"{run}: is exported already; give {option} with the run directory or the .keras file")
    if scorer_file is not None and regret_steps:
        raise InputError("a scorer is kept for export, whose models cannot take --regret-steps; leave one of them out")
    if use_scorer is not None:
        check_nothing_is_fitted(context)
    vae, config = open_model(run)
    if not is_exported:
        from keras_vae.export.float32 import in_float32  # deferred: it imports Keras

        # As exported models compute, whose threshold is the one that is found here.
        vae = in_float32(vae)
    number = class_of_images(vae, run, label) if images else find_label(vae, run, label)
    import numpy as np

    from keras_vae.scoring.calibration import false_alarm_threshold

    from .masks import pixel_auroc, read_masks
    from .score_tables import known, lines_of, scores_of, summary, write_csv
    from .scored_images import files, normal_images, of_anomalies, test_images

    kept = None if use_scorer is None else kept_scorer(use_scorer, vae)
    if kept is not None and false_alarms is None:
        false_alarms = kept.false_alarms
    given = open_dataset(run, config, dataset, data_dir, vae) if dataset else None
    sets: list[ScoredImages] = []
    if images:
        sets.append(files(images, vae, config, number))
    if kept is None or not images:  # files beside a scorer that was kept take no data set
        normal = given if config is None and given else _own_images(run, config, data_dir, vae, instead=given)
        if not images:
            sets.append(test_images(given or normal, normal))
    masks = read_masks(sets[0], vae.image_shape, config)
    if against is not None:
        sets.append(of_anomalies(open_dataset(run, config, against, data_dir, vae)))
    if kept is None:
        fitted, held_out = normal_images(normal)
        calibrating = len(held_out[0])
        compared_with = {"name": normal.name, "fitted": len(fitted[0]), "held_out": calibrating}
    else:
        calibrating = len(kept.calibration.normal)
        compared_with = {"name": str(use_scorer), "held_out": calibrating}
    if false_alarms is not None:
        # Before minutes of work. Of images that are compared with each other, half calibrates.
        compared = [calibrating, *(one.own_halves[1].size for one in sets if one.calibrates)]
        false_alarm_threshold(np.zeros(min(compared)), false_alarms)
    if any(one.is_normal is not None and not one.is_normal.all() for one in sets):
        check_output(roc, overwrite=overwrite)
    scorer = kept or fitted_scorer(
        vae,
        fitted,
        held_out,
        false_alarms,
        scorer_file,
        method=method,
        seed=seed,
        importance_samples=importance_samples,
        regret_steps=regret_steps,
    )
    tables = [scores_of(scorer, one, false_alarms) for one in sets]
    write_csv(out, sets, tables)
    report = {
        "model": str(run),
        "method": scorer.method,
        "normal": compared_with,
        **summary(sets, tables, scorer, false_alarms),
        "out": str(out),
    }
    if "auroc" in report:
        if masks:
            report["pixel_auroc"] = pixel_auroc(scorer, sets[0], masks)
        from keras_vae.visualize import write_png
        from keras_vae.visualize.roc import roc_curves

        with writing(roc) as beside:
            write_png(beside, roc_curves(*known(sets, tables), title=f"Normal and unusual images · {run.name}"))
        say(f"wrote {roc}")
    if heatmaps is not None or gallery is not None:
        from .score_pictures import write_pictures

        write_pictures(scorer, sets, tables, top, heatmaps, gallery, title=f"{run.name} · {scorer.method}")
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(lines_of(report)))


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
