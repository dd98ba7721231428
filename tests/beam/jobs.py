"""A small published model, images, and options of jobs."""

import json
import struct
import zlib

import keras
import numpy as np
import tensorflow as tf

from keras_vae.beam import JobOptions
from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.export.manifest import Manifest, write_manifest
from keras_vae.export.signatures import write_saved_model
from keras_vae.latents import prior_name
from keras_vae.models import VAE

# Large enough for three taps of VGG16, and not square.
SHAPE = (12, 14, 1)
CLASSES = 3
# Each worker of a job loads the model, which takes longer with more layers.
FEW_LAYERS = {"widths": (8,), "groups": 4, "attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}


def publish(folder, **options):
    """Publish a new model, as `keras-vae export` would without TFLite."""
    keras.utils.set_random_seed(0)
    vae = VAE(SHAPE, latent_dim=2, **FEW_LAYERS, **options)
    write_saved_model(vae, folder)
    manifest = Manifest(
        name="noise",
        version=7,
        created="2026-01-01T00:00:00+00:00",
        image_shape=SHAPE,
        latent_shape=(2,),
        num_classes=vae.num_classes,
        variational=vae.variational,
        prior=prior_name(vae.prior),
        codebook_size=vae.bottleneck.codebook_size or None,
        code_shape=vae.bottleneck.code_shape,
        likelihood="gaussian",
        likelihood_scale=1.0,
        scaling_factor=None,
        parameters={},
        software={},
        git_revision=None,
        data=None,
        evaluation=None,
        signatures={},
    )
    write_manifest(folder, manifest)
    return folder


def make_dataset(train=23, test=40):
    random = np.random.default_rng(0)
    splits = [
        ArraySplit(random.integers(0, 256, (count, *SHAPE), dtype=np.uint8), np.arange(count, dtype=np.int32) % CLASSES)
        for count in (train, test)
    ]
    return ImageDataset("noise", "idx", *splits, class_names=("a", "b", "c"))


def options_for(model, dataset, out, **changes):
    """A job with seven images per batch, so that no batch ends with a file."""
    return JobOptions(**{"model": model, "dataset": str(dataset), "out": str(out), "batch_size": 7, **changes})


def read_examples(path):
    """The features of each tf.Example of a gzipped file, as Python values."""
    found = []
    for record in tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator():
        features = tf.train.Example.FromString(record).features.feature
        found.append({name: list(getattr(value, value.WhichOneof("kind")).value) for name, value in features.items()})
    return found


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def png_that_announces(width, height):
    """A PNG of the given size with almost no data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
