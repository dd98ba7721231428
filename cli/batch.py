"""``--beam``: shared options and checks of the commands that can run as batch jobs on Apache Beam."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_vae.errors import InputError

from .grouped_help import GroupedCommand, grouped_option
from .options import given_options
from .published import published_name
from .runtime import exported_version, say, start_tensorflow, stderr_held_back
from .values import Choice

if TYPE_CHECKING:
    from keras_vae.beam import JobOptions

BATCH_JOBS = "Batch jobs, with --beam"
"""Heading of the options that need ``--beam``."""
_PIPELINE_OPTIONS = "keras_vae_cli.pipeline_options"


class BatchCommand(GroupedCommand):
    """With ``--beam``, everything after ``--`` is an option of Apache Beam."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse as Click does, without Beam's own options."""
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
        help="Beam runner that runs the job; its own options follow after --.",
    )(command)
    return grouped_option(
        "--beam", is_flag=True, group=BATCH_JOBS, help="Run as a batch job on Apache Beam (needs the extra beam)."
    )(command)


def check_plain(context: click.Context, others: Iterable[str] = ()) -> None:
    """Check that no option was given that needs ``--beam``: ``--runner`` or one of ``others`` (parameter names).

    Raises:
        InputError: if one was given; the message names it.
    """
    for option in given_options(context, ("runner", *others)):
        raise InputError(f"{option} needs --beam")


def check_batch(context: click.Context, others: Iterable[str]) -> None:
    """Check that Beam is installed and that none of ``others`` was given, which batch jobs do not support.

    Raises:
        InputError: if Beam is missing or an option was given; the message names it.
    """
    for option in given_options(context, others):
        raise InputError(f"{option} does not go with --beam")
    if any(importlib.util.find_spec(name) is None for name in ("apache_beam", "pyarrow")):
        raise InputError("--beam needs Apache Beam, which is not installed; pip install 'keras-vae[beam]'")


def job_options(context: click.Context, run: Path, dataset: str | None, out: str, **settings: Any) -> JobOptions:
    """The job that the command line describes; ``settings`` are further fields of `JobOptions`.

    Raises:
        InputError: if there is no exported model or no images are named.
    """
    version = exported_version(run)
    if version is None:
        if published_name(run) is None and not run.exists():
            raise InputError(f"{run}: no such exported model")
        raise InputError(f"{run}: is not an exported model, which --beam needs; make one with: keras-vae export {run}")
    if dataset is None:
        raise InputError("--beam needs images: tfrecord:DIR, tfrecord:PATTERN or images:PATTERN")
    start_tensorflow()
    with stderr_held_back():  # Beam logs which of its optional parts are missing
        from keras_vae.beam import JobOptions

    # Workers may run in another folder.
    options: tuple[str, ...] = context.meta.get(_PIPELINE_OPTIONS, ())
    return JobOptions(model=version.resolve(), dataset=dataset, out=out, pipeline_options=options, **settings)


@contextmanager
def job_output(options: JobOptions) -> Iterator[Callable[[str], None]]:
    """A function that prints a line while the job runs. The log of workers on this machine is held back."""
    if options.runner == "DirectRunner":
        with stderr_held_back() as say_beside:
            yield say_beside
    else:
        yield say
