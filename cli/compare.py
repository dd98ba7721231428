"""``keras-vae compare``: runs side by side, as a table, as pictures and as one HTML report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from keras_vae.errors import InputError
from keras_vae.training.run_directory import RunDirectory

from .options import json_option
from .published import no_model, not_a_model, published_name
from .runtime import say
from .values import FilePath


@click.command("compare", short_help="Compare runs in one report.")
@click.argument("runs", metavar="RUN...", type=FilePath(), nargs=-1, required=True)
@click.option(
    "--to",
    type=FilePath(),
    default=Path("comparison"),
    show_default=True,
    help="Folder to write to.",
)
@click.option("--overwrite", is_flag=True, help="Replace the comparison at --to.")
@json_option
def command(runs: tuple[Path, ...], to: Path, overwrite: bool, as_json: bool) -> None:
    """Compare finished runs: a table, curves, pictures and GIFs side by side, and all of it in one report.html.

    A run that has not been evaluated is evaluated first.

    \b
    Examples:
      keras-vae compare runs/mnist-latent2 runs/mnist-latent4 runs/mnist-latent16
      keras-vae compare runs/* --to docs/comparison --json
    """
    compare_runs(runs, to, overwrite=overwrite, as_json=as_json)


def compare_runs(runs: Sequence[Path], to: Path, *, overwrite: bool = False, as_json: bool = False) -> None:
    """Evaluate runs that lack an evaluation, write the comparison to the folder ``to``, and print its table.

    Raises:
        InputError: if a run is not finished, is damaged or given twice, or is no run at all; when ``to`` holds a
            comparison (and ``overwrite`` is not set) or something else, or cannot be written.
    """
    # Deferred: Matplotlib comes with it, and help does not need it.
    from keras_vae.reports.folder import check_folder
    from keras_vae.reports.report import write_comparison
    from keras_vae.reports.runs import check_runs, read_runs
    from keras_vae.reports.table import as_text

    # Checked before minutes of evaluation.
    for run in runs:
        if published_name(run):
            raise InputError(f"{run}: is a published model; compare takes the run directories that train writes")
        if not run.exists():
            raise no_model(run)
        if not RunDirectory(run).is_run():
            raise not_a_model(run)
    check_runs(runs)
    check_folder(to, overwrite=overwrite)
    evaluations = {}
    for run in runs:
        if RunDirectory(run).read_evaluation() is None:
            say(f"{run} has not been evaluated yet: evaluating it")
            from .evaluate import evaluate_run  # deferred: comparing evaluated runs needs no TensorFlow

            evaluations[run] = evaluate_run(run)
    comparison = write_comparison(to, read_runs(runs, evaluations))
    if as_json:
        click.echo(json.dumps(comparison.as_dict(), indent=2, allow_nan=False))
        return
    click.echo(as_text(comparison.table, comparison.names))
    if any(row.best for rows in comparison.table.values() for row in rows):
        click.echo("* best of the row; ↓ lower is better, ↑ higher is better")
    for note in comparison.notes:
        click.echo(note)
    click.echo(f"the report is {to / 'report.html'}")
