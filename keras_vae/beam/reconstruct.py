"""The reconstructions of any number of images, as TFRecord shards that every command reads as images again."""

from __future__ import annotations

from collections.abc import Callable

from keras_vae.beam import model_handler
from keras_vae.beam.job import JobOptions, Summary, into_shards, run_job, say_on_stderr
from keras_vae.beam.sinks import TFRecordImages


def reconstruct_images(options: JobOptions, *, say: Callable[[str], None] = say_on_stderr) -> Summary:
    """Reconstruct images through the posterior mean into ``reconstructions-00003-of-00008.tfrecord.gz``.

    Each image has its ``image/encoded``, an 8-bit PNG, its ``name``, and ``label`` where it has one, in the order of
    the input.

    Args:
        options: of the job.
        say: receives a line for bad images.

    Raises:
        InputError: as `run_job`.
        BatchJobError: as `run_job`.
    """
    return run_job(options, model_handler.reconstruct, lambda manifest: into_shards(TFRecordImages()), say)
