"""``keras-vae compare``: runs side by side, as a table, as pictures and as one HTML report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from keras_vae.training.run_directory import RunDirectory

from .options import FilePath, json_option
from .runtime import say


@click.command("compare", short_help="Compare runs in one report.")
@click.argument("runs", metavar="RUN...", type=FilePath(), nargs=-1, required=True)
@click.option(
    "--to",
    type=FilePath(),
    default=Path("comparison"),
    show_default=True,
    help="Folder to write; a comparison that is there is replaced.",
)
@json_option
def command(runs: tuple[Path, ...], to: Path, as_json: bool) -> None:
    """Set finished runs side by side: a table, curves, pictures, GIFs, and report.html, one file that holds all.

    A run that has not been evaluated is evaluated first.

    \b
    Examples:
      keras-vae compare runs/mnist-latent2 runs/mnist-latent4 runs/mnist-latent16
      keras-vae compare runs/* --to docs/comparison --json
    """
    compare_runs(runs, to, as_json=as_json)


def compare_runs(runs: Sequence[Path], to: Path, *, as_json: bool = False) -> None:
    """Evaluate the runs that have not been, write their comparison to the folder ``to``, and print its table.

    Raises:
        InputError: when a run is none, is not finished, is damaged or given twice, or ``to`` cannot be written.
    """
    # Deferred, as Matplotlib comes with it: help needs none of it.
    from keras_vae.reports.folder import check_folder
    from keras_vae.reports.report import write_comparison
    from keras_vae.reports.runs import check_runs, read_runs
    from keras_vae.reports.table import as_text

    # Before minutes of evaluation.
    check_runs(runs)
    check_folder(to)
    evaluations = {}
    for run in runs:
        if RunDirectory(run).read_evaluation() is None:
            say(f"{run} has not been measured yet: evaluating it")
            from .evaluate import evaluate_run  # deferred: evaluated runs are compared without TensorFlow

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
