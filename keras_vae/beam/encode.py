"""Encode any number of images into Parquet or TFRecord shards."""

from __future__ import annotations

import math
from collections.abc import Callable

from keras_vae.beam import model_handler
from keras_vae.beam.job import JobOptions, Summary, into_shards, run_job, say_on_stderr
from keras_vae.beam.sinks import ParquetLatents, ShardFormat, TFRecordLatents
from keras_vae.errors import InputError
from keras_vae.export.manifest import Manifest

_FORMATS: dict[str, Callable[[Manifest], ShardFormat]] = {
    "parquet": lambda manifest: ParquetLatents(manifest.latent_dim, math.prod(manifest.code_shape or (0,))),
    "tfrecord": lambda manifest: TFRecordLatents(),
}


def encode_images(
    options: JobOptions, latent_format: str = "parquet", *, say: Callable[[str], None] = say_on_stderr
) -> Summary:
    """Encode images into ``latents-00003-of-00008.parquet`` (or ``.tfrecord.gz``), in the order of the input.

    Each row has ``name``, ``mean`` and ``log_var`` with L numbers each (a spatial latent in C order), and ``label`` if
    the image has one. A model of codes also gives ``codes``, its codes in C order.

    Args:
        options: the job's options.
        latent_format: ``parquet`` or ``tfrecord``.
        say: called with a line about bad images.

    Raises:
        InputError: as in `run_job`, or if the format is unknown.
        BatchJobError: as in `run_job`.
    """
    if latent_format not in _FORMATS:
        raise InputError(f"format must be one of {', '.join(_FORMATS)}, got {latent_format!r:.60}")
    format_for = _FORMATS[latent_format]
    return run_job(options, model_handler.encode, lambda manifest: into_shards(format_for(manifest)), say)
