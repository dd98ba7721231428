"""Reconstruct any number of images into TFRecord shards, which every command can read as images."""

from __future__ import annotations

from collections.abc import Callable

from keras_vae.beam import model_handler
from keras_vae.beam.job import JobOptions, Summary, into_shards, run_job, say_on_stderr
from keras_vae.beam.sinks import TFRecordImages


def reconstruct_images(options: JobOptions, *, say: Callable[[str], None] = say_on_stderr) -> Summary:
    """Reconstruct images through the posterior mean into ``reconstructions-00003-of-00008.tfrecord.gz``.

    Each record has ``image/encoded`` (an 8-bit PNG), ``name``, and ``label`` if the image has one. Records keep the
    order of the input.

    Args:
        options: the job's options.
        say: called with a line about bad images.

    Raises:
        InputError: as in `run_job`.
        BatchJobError: as in `run_job`.
    """
    return run_job(options, model_handler.reconstruct, lambda manifest: into_shards(TFRecordImages()), say)
