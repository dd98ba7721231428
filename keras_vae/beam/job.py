"""A batch job from end to end: options, pipeline, run, and the folder with the results."""

from __future__ import annotations

import json
import logging
import os
import posixpath
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import apache_beam as beam
import tensorflow as tf
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineState

from keras_vae.beam.model_handler import ExportedModelHandler, Infer
from keras_vae.beam.sinks import BAD_IMAGES, FORMAT, SUMMARY, UNNAMED, NameShards, ShardFormat, WriteShards
from keras_vae.beam.sources import BAD, IMAGES, ReadImages, find_parts
from keras_vae.data.decoding import TOO_MANY_UNREADABLE
from keras_vae.data.framing import Framing
from keras_vae.errors import BatchJobError, InputError
from keras_vae.export.manifest import Manifest, check_manifest
from keras_vae.export.operations import check_operations
from keras_vae.files import folder_written_beside
from keras_vae.models.batches import images_at_a_time

# How many bad images are named if a job fails because of them; the folder that would list all is not kept.
_BAD_SHOWN = 20
# Finds a worker's error in the error that a runner raises.
_INPUT_ERROR = re.compile(r"(?:keras_vae\.errors\.)?InputError: (.+?)(?: \[while running .*)?$", re.MULTILINE)

# TensorFlow reads it at start-up, so it affects new processes only.
_THREADS = "TF_NUM_INTRAOP_THREADS"

Summary: TypeAlias = dict[str, Any]
Finish: TypeAlias = Callable[[Any, Any, str, Summary], None]


@dataclass(frozen=True)
class JobOptions:
    """What a job reads, what it writes, and where it runs.

    Args:
        model: folder of an exported version, reachable by every worker.
        dataset: ``tfrecord:PATTERN``, ``tfrecord:DIR`` or ``images:PATTERN``, reachable by every worker.
        out: the folder to create, writable by every worker. It may be a URL that TensorFlow's file systems know, for
            example ``gs://bucket/latents``.
        split: the split to read from a ``tfrecord:DIR`` that has splits.
        batch_size: images per batch, by default `images_at_a_time`.
        runner: Beam's name of the runner.
        pipeline_options: Beam's own options, as on a command line.
        overwrite: replace the results of another job in ``out``.
    """

    model: Path
    dataset: str
    out: str
    split: str = "test"
    batch_size: int | None = None
    runner: str = "DirectRunner"
    pipeline_options: tuple[str, ...] = ()
    overwrite: bool = False


def say_on_stderr(line: str) -> None:
    """Print a line for the user without mixing it with the output."""
    print(line, file=sys.stderr)


def run_job(
    options: JobOptions, infer: Infer, finish_for: Callable[[Manifest], Finish], say: Callable[[str], None]
) -> Summary:
    """Run a job. Its folder appears completely or not at all.

    Args:
        options: the job's options.
        infer: the computation for each batch; see `ExportedModelHandler`.
        finish_for: given the model's manifest, returns a function that appends the last steps to the pipeline. It is
            called with the results, the bad images, the folder to write into and the summary's entries about the job,
            and must write the summary last.
        say: called with a line about bad images.

    Returns:
        the contents of ``summary.json``.

    Raises:
        InputError: if model, images, output folder or pipeline options cannot be used.
        BatchJobError: if 1% of the images or more are bad, or if the runner fails.
    """
    beam_options = parse_pipeline_options(options.runner, options.pipeline_options)
    manifest = check_manifest(options.model)
    check_operations(options.model)
    if manifest.num_classes is not None and options.dataset.startswith(IMAGES):
        raise InputError(f"{options.model}: is conditional, and image files have no labels; give tfrecord:PATTERN")
    parts = find_parts(options.dataset, options.split)
    check_place(options.out, overwrite=options.overwrite)
    about = {"model": manifest.name, "version": manifest.version, "dataset": options.dataset}
    with _written_whole(options.out) as folder:
        tf.io.gfile.makedirs(posixpath.join(folder, UNNAMED))
        pipeline = beam.Pipeline(runner=_runner(options.runner, beam_options), options=beam_options)
        read = ReadImages(
            Framing(manifest.image_shape),
            manifest.num_classes,
            options.batch_size or images_at_a_time(manifest.image_shape),
        )
        images = (
            pipeline
            | "Parts" >> beam.Create(parts)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(read).with_outputs(BAD, main="images")
        )
        results = images["images"] | "Infer" >> RunInference(ExportedModelHandler(os.fspath(options.model), infer))
        finish_for(manifest)(results, images[BAD], folder, about)
        _run(pipeline, beam_options)
        tf.io.gfile.rmtree(posixpath.join(folder, UNNAMED))
        return _checked_summary(folder, options, say)


def into_shards(shard_format: ShardFormat) -> Finish:
    """The last steps of a job that writes shards in the given format."""

    def finish(results: Any, bad: Any, folder: str, about: Summary) -> None:
        fragments = results | "Write" >> beam.ParDo(WriteShards(folder, shard_format))
        _ = (
            results.pipeline
            | "Once" >> beam.Create([None])
            | "Name"
            >> beam.ParDo(
                NameShards(folder, shard_format, about), beam.pvalue.AsList(fragments), beam.pvalue.AsList(bad)
            )
        )

    return finish


def parse_pipeline_options(runner: str, flags: tuple[str, ...]) -> PipelineOptions:
    """Parse Beam's options.

    Raises:
        InputError: if an option is unknown or its value is invalid.
    """

    def refuse(message: str) -> None:
        raise InputError(f"pipeline options: {message}; options after -- are those of Apache Beam")

    def check(parser: Any) -> None:
        # Beam itself ignores unknown options.
        parser.error = refuse
        parser.parse_args(list(flags))

    options = PipelineOptions([*flags, f"--runner={runner}"])
    options.get_all_options(add_extra_args_fn=check)
    return options


def check_place(out: str, *, overwrite: bool) -> None:
    """Check that a job's folder can be created there, without changing anything.

    Raises:
        InputError: if something is there that must not be replaced, or if the folder cannot be written.
    """
    try:
        found = {name.rstrip("/") for name in tf.io.gfile.listdir(out)} if tf.io.gfile.isdir(out) else None
        if found is None and tf.io.gfile.exists(out):
            raise InputError(f"{out}: exists and is not a folder; choose another")
    except tf.errors.OpError as error:
        raise InputError(f"{out}: cannot be looked up ({error.message})") from error
    if found:
        # Other files beside the shards must not be lost with them.
        if not found <= _files_of_job(out):
            raise InputError(f"{out}: exists and holds other files than a job's results; choose another")
        if not overwrite:
            raise InputError(f"{out}: holds a job's results already; replace them with --overwrite, or choose another")
    if not _is_remote(out):
        nearest = next(parent for parent in Path(out).resolve().parents if os.path.lexists(parent))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise InputError(f"{out}: {nearest} is not a writable directory; choose another")


def _files_of_job(folder: str) -> set[str]:
    """The files that the folder's summary lists; none if the folder has no summary of ours."""
    try:
        summary = _read_summary(folder)
        if summary["format"] != FORMAT:
            return set()
        return {SUMMARY, BAD_IMAGES, *(shard["file"] for shard in summary.get("shards", ()))}
    except (tf.errors.OpError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _is_remote(out: str) -> bool:
    return "://" in out


@contextmanager
def _written_whole(out: str) -> Iterator[str]:
    """The folder to write into. It becomes ``out`` at the end of the block, and is removed if the block fails.

    A remote folder cannot be renamed, so it is written in place, with the summary last.
    """
    try:
        if _is_remote(out):
            if tf.io.gfile.exists(out):
                tf.io.gfile.rmtree(out)
            try:
                yield out
            except BaseException:
                tf.io.gfile.rmtree(out)
                raise
        else:
            # Absolute, since workers may have another working directory.
            with folder_written_beside(Path(out)) as beside:
                yield str(beside)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{out}: cannot be written ({' '.join(str(error).split())})") from error


def _runner(name: str, options: PipelineOptions) -> Any:
    if name != "DirectRunner":
        return name
    # Beam's DirectRunner would first try to download a program, Prism, and fall back to this runner.
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    return FnApiRunner(provision_info=ExtendedProvisionInfo(provision))


def _run(pipeline: beam.Pipeline, options: PipelineOptions) -> None:
    # A worker in this process logs errors that are also raised.
    log = _logging_nothing() if isinstance(pipeline.runner, FnApiRunner) else nullcontext()
    try:
        with _sharing_cores(options.view_as(DirectOptions)), log:
            state = pipeline.run().wait_until_finish()
    except Exception as error:  # runners wrap a worker's error in different kinds
        if found := _INPUT_ERROR.findall(f"{type(error).__name__}: {error}"):
            raise InputError(found[-1]) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
        raise BatchJobError(f"the job failed: {lines[-1]:.500}") from error
    if state != PipelineState.DONE:
        raise BatchJobError(f"the job ended as {state}; see the runner's log")


@contextmanager
def _sharing_cores(options: DirectOptions) -> Iterator[None]:
    """Divide the cores among the processes on this machine, which would otherwise compete for all of them."""
    if options.direct_running_mode != "multi_processing" or _THREADS in os.environ:
        yield
        return
    cores = os.cpu_count() or 1
    os.environ[_THREADS] = str(max(1, cores // (options.direct_num_workers or cores)))
    try:
        yield
    finally:
        del os.environ[_THREADS]


@contextmanager
def _logging_nothing() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _checked_summary(folder: str, options: JobOptions, say: Callable[[str], None]) -> Summary:
    summary = _read_summary(folder)
    bad, total = summary["bad_images"], summary["images"] + summary["bad_images"]
    if total == 0:
        raise InputError(f"{options.dataset}: holds no images")
    if bad:
        found = f"{options.dataset}: {bad:,} of {total:,} images are bad"
        if bad >= TOO_MANY_UNREADABLE * total:
            with tf.io.gfile.GFile(posixpath.join(folder, BAD_IMAGES)) as file:
                for _, line in zip(range(_BAD_SHOWN), file, strict=False):
                    say(line.rstrip())
            raise BatchJobError(f"{found}, and nothing was written; only fewer than 1% are left out")
        say(f"{found} and left out; {posixpath.join(options.out, BAD_IMAGES)} names them")
    return summary


def _read_summary(folder: str) -> Summary:
    with tf.io.gfile.GFile(posixpath.join(folder, SUMMARY)) as file:
        summary: Summary = json.load(file)
    return summary
