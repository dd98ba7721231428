"""A conditional model draws the requested class: a classifier of real digits recognises its samples."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from keras_vae.config import preset
from keras_vae.data import load_dataset, steps_per_epoch, training_batches
from keras_vae.training import build_trainer

PER_CLASS = 40


@pytest.mark.slow
def test_samples_of_a_class_are_recognised_as_that_class():
    digits = load_dataset("sample")
    config = preset("mnist").replace(
        epochs=4,
        model__latent_dim=2,  # too few dimensions to hold the class as well as the label does
        model__widths=(16, 32),
        model__num_classes=10,
        objective__adversarial_weight=0.0,
        objective__perceptual_weight=0.0,
        data__batch_size=64,
        optimizer__ema=0.98,
        precision="float32",
        jit="off",
    )
    steps = steps_per_epoch(digits.train, config.data.batch_size)
    trainer = build_trainer(config, steps)
    batches = training_batches(digits.train, config.data.batch_size, seed=config.seed)
    trainer.fit(batches, epochs=config.epochs, steps_per_epoch=steps, shuffle=False, verbose=0)

    flat_train, flat_test = (split.images.reshape(split.count, -1) for split in (digits.train, digits.test))
    classifier = KNeighborsClassifier(3).fit(flat_train, digits.train.labels)
    assert classifier.score(flat_test, digits.test.labels) > 0.9

    labels = np.repeat(np.arange(10, dtype=np.int32), PER_CLASS)
    samples = np.asarray(trainer.inference_vae.sample(len(labels), seed=0, labels=labels))
    recognised = classifier.predict(255 * samples.reshape(len(labels), -1)) == labels
    assert recognised.mean() > 0.9
