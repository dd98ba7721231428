"""``--beam``: what the commands have in common that can be batch jobs on Apache Beam."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from keras_vae.errors import InputError

from .grouped_help import GroupedCommand, grouped_option
from .published import published_name
from .runtime import exported_version, say, start_tensorflow, stderr_held_back
from .values import Choice

if TYPE_CHECKING:
    from keras_vae.beam import JobOptions

BATCH_JOBS = "Batch jobs"
"""The heading of options that go with ``--beam`` alone."""
_PIPELINE_OPTIONS = "keras_vae_cli.pipeline_options"


class BatchCommand(GroupedCommand):
    """With ``--beam``, what follows ``--`` are options of Apache Beam and no arguments of the command."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """As Click does, without what is Beam's."""
        cut = args.index("--") if "--" in args else len(args)
        if "--beam" in args[:cut]:
            context.meta[_PIPELINE_OPTIONS] = tuple(args[cut + 1 :])
            args = args[:cut]
        return super().parse_args(context, args)


def batch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--beam`` and ``--runner``."""
    command = grouped_option(
        "--runner",
        type=Choice(("DirectRunner", "FlinkRunner", "DataflowRunner")),
        default="DirectRunner",
        show_default=True,
        group=BATCH_JOBS,
        help="With --beam: what runs the job. Its own options follow after --.",
    )(command)
    return grouped_option("--beam", is_flag=True, group=BATCH_JOBS, help="As a batch job on Apache Beam (extra beam).")(
        command
    )


def check_plain(context: click.Context, others: Iterable[str] = ()) -> None:
    """Check that no option of batch jobs alone was given: ``--runner`` and ``others``, by parameter names.

    Raises:
        InputError: naming the one that was given.
    """
    for option in _given(context, ("runner", *others)):
        raise InputError(f"{option} goes with --beam")


def check_batch(context: click.Context, others: Iterable[str]) -> None:
    """Check that Beam is installed, and that none of ``others`` was given, which batch jobs do not have.

    Raises:
        InputError: naming what is missing, or was given.
    """
    for option in _given(context, others):
        raise InputError(f"{option} does not go with --beam")
    if any(importlib.util.find_spec(name) is None for name in ("apache_beam", "pyarrow")):
        raise InputError("--beam needs Apache Beam, which is not installed; pip install 'keras-vae[beam]'")


def job_options(context: click.Context, run: Path, dataset: str | None, out: str, **settings: Any) -> JobOptions:
    """The job that a command was asked for; ``settings`` are fields of `JobOptions` of the same names.

    Raises:
        InputError: when there is no exported model, or no images are named.
    """
    version = exported_version(run)
    if version is None:
        if published_name(run) is None and not run.exists():
            raise InputError(f"{run}: no such exported model")
        raise InputError(f"{run}: is no exported model, which --beam takes; make one: keras-vae export {run}")
    if dataset is None:
        raise InputError("--beam needs images: tfrecord:DIR, tfrecord:PATTERN or images:PATTERN")
    start_tensorflow()
    with stderr_held_back():  # it says which of its parts are not there
        from keras_vae.beam import JobOptions

    # Workers may run in another folder.
    options: tuple[str, ...] = context.meta.get(_PIPELINE_OPTIONS, ())
    return JobOptions(model=version.resolve(), dataset=dataset, out=out, pipeline_options=options, **settings)


@contextmanager
def job_output(options: JobOptions) -> Iterator[Callable[[str], None]]:
    """What says a line while the job runs; the log of workers on this machine, who share its stderr, is held back."""
    if options.runner == "DirectRunner":
        with stderr_held_back() as say_beside:
            yield say_beside
    else:
        yield say


def _given(context: click.Context, names: Iterable[str]) -> list[str]:
    """The options of these parameters that are on the command line."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [options[name] for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
