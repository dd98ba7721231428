"""What `--smoke` runs: a few digits and a model so small that a whole run takes seconds."""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

import numpy as np

from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, load_dataset

# Options of `keras-vae train`. The last value of an option counts, so other losses can follow.
RUN = (
    *("--widths", "8,8", "--groups", "4", "--attention-resolution", "0", "--no-generative-skips"),
    *("--mapping-layers", "0", "--discriminator-widths", "8,8", "--batch-size", "50", "--optimizer", "adamw"),
    *("--adversarial-weight", "0", "--perceptual-weight", "0"),
    "--no-pictures",
)


def add_smoke_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--smoke``, with which CI runs every benchmark."""
    parser.add_argument("--smoke", action="store_true", help="smallest size, one round: whether it runs, not how fast")


def small(config: RunConfig) -> RunConfig:
    """``config`` with a narrow autoencoder, two levels deep, and a narrow discriminator; the losses stay.

    AdamW takes the place of Muon, whose steps are slow to trace.
    """
    return config.replace(
        model__widths=(8, 8),
        model__groups=4,
        model__attention_resolution=0,
        model__generative_skips=False,
        model__mapping_layers=0,
        discriminator__widths=(8, 8),
        optimizer__optimizer="adamw",
    )


def write_idx(folder: Path, training: int = 400, test: int = 100) -> str:
    """Write the first digits of the bundled sample as IDX files; returns their name for ``--dataset``."""
    dataset = load_dataset("sample")
    for prefix, split, count in (("train", dataset.train, training), ("t10k", dataset.test, test)):
        assert isinstance(split, ArraySplit)
        images, labels = split.first(count)
        assert labels is not None
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(_idx(images[..., 0]))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(_idx(labels.astype(np.uint8)))
    return f"idx:{folder}"


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
