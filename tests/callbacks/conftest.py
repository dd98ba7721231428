"""One tiny run with every callback, shared by the tests of this folder."""

import types

import numpy as np
import pytest
from noise_images import BATCH, CLASSES, EPOCHS, MODEL, SHAPE, TESTS, TRAINING

from keras_vae.callbacks import run_callbacks
from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, ImageDataset, evaluation_batches, training_batches
from keras_vae.training import RunDirectory, build_trainer


def make_split(count, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *SHAPE), dtype=np.uint8)
    return ArraySplit(images, (np.arange(count) % CLASSES).astype(np.int32))


@pytest.fixture(scope="session")
def dataset():
    return ImageDataset(
        "noise", "sample", make_split(TRAINING, 0), make_split(TESTS, 1), class_names=("zero", "one", "two")
    )


@pytest.fixture(scope="session")
def finished(tmp_path_factory, dataset):
    """A finished run: its directory, its trainer and its history."""
    config = RunConfig().replace(
        epochs=EPOCHS,
        **MODEL,
        model__widths=(8, 16),
        discriminator__widths=(8, 8),
        objective__perceptual_weight=0,
        data__batch_size=BATCH,
    )
    steps = TRAINING // BATCH
    run = RunDirectory.create(tmp_path_factory.mktemp("runs") / "digits")
    trainer = build_trainer(config, steps)
    trainer.run_eagerly = True
    history = trainer.fit(
        training_batches(dataset.train, BATCH, seed=0),
        epochs=EPOCHS,
        steps_per_epoch=steps,
        validation_data=evaluation_batches(dataset.test, BATCH),
        callbacks=run_callbacks(run, config, dataset),
        shuffle=False,
        verbose=0,
    )
    return types.SimpleNamespace(directory=run, trainer=trainer, history=history.history)
