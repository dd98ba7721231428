"""Augmentation by Keras layers that are named in a run's settings."""

import numpy as np
import pytest
import tensorflow as tf

from keras_vae.data import ArraySplit, build_augmentation, training_batches
from keras_vae.errors import InputError

SHAPE = (12, 10, 1)


@pytest.fixture(scope="module")
def split():
    images = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
    return ArraySplit(images)


def batches(split, layers, count, seed=0, **start):
    augment = build_augmentation(layers, SHAPE, seed)
    return list(training_batches(split, 8, seed=1, augment=augment, **start).take(count).as_numpy_iterator())


def test_no_layers_are_no_augmentation():
    assert build_augmentation((), SHAPE, 0) is None


@pytest.mark.parametrize(
    "layer",
    [
        "RandomTranslation",
        "RandomRotation(0.05, fill_mode='constant')",
        "keras.layers.RandomZoom(0.2)",
        "RandomContrast",
        "RandomElasticTransform(scale=0.5)",
        "RandAugment",
        "RandomErasing",
    ],
)
def test_layers_change_images_within_their_range_and_shape(split, layer):
    (plain,), (changed,) = batches(split, (), 1), batches(split, (layer,), 1)
    assert changed.shape == plain.shape
    assert changed.dtype == np.float32
    assert 0 <= changed.min() < changed.max() <= 1
    assert np.abs(changed - plain).mean() > 0.005


def test_layers_are_applied_one_after_the_other(split):
    (plain,) = batches(split, (), 1)
    (changed,) = batches(split, ("RandomFlip('horizontal')", "RandomInvert((1.0, 1.0))"), 1)
    for before, after in zip(plain, 1 - changed, strict=True):
        assert np.allclose(after, before, atol=1e-6) or np.allclose(after, before[:, ::-1], atol=1e-6)


def test_a_brightness_is_of_the_range_0_to_1(split):
    (plain,), (changed,) = batches(split, (), 1), batches(split, ("RandomBrightness((0.25, 0.25))",), 1)
    np.testing.assert_allclose(changed, np.clip(plain + 0.25, 0, 1), atol=1e-6)


@pytest.mark.parametrize("layers", [("RandomTranslation", "RandomRotation"), ("RandAugment",)])
def test_a_resumed_run_sees_the_images_of_an_unbroken_one(split, layers):
    unbroken = batches(split, layers, 8)
    resumed = batches(split, layers, 3, first_epoch=1)
    np.testing.assert_array_equal(resumed, unbroken[5:])


def test_every_batch_and_every_seed_has_draws_of_its_own():
    split = ArraySplit(np.tile(np.arange(120, dtype=np.uint8).reshape(SHAPE), (8, 1, 1, 1)))
    first, second = batches(split, ("RandomTranslation",), 2)
    (other,) = batches(split, ("RandomTranslation",), 1, seed=1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("RandomNonsense", "keras.layers has no layer 'RandomNonsense'"),
        ("os.system('true')", "is in os; layers are taken from keras.layers or keras_cv.layers"),
        ("RandomRotation(__import__('os').getpid())", "is not a layer such as"),
        ("RandomRotation(", "is not a layer such as"),
        ("RandomRotation(factor='much')", "cannot be made"),
        ("RandomRotation(amount=3)", "cannot be made"),
        ("RandomCrop(5, 5)", r"turns images \(12, 10, 1\) into \(5, 5, 1\); the shape must stay"),
        ("Embedding(3, 3)", "cannot take images|the shape must stay"),
        ("", "is not a layer such as"),
    ],
)
def test_what_is_no_augmentation_is_refused_in_one_line(layer, message):
    with pytest.raises(InputError, match=message) as caught:
        build_augmentation((layer,), SHAPE, 0)
    assert "\n" not in str(caught.value)


def test_a_layer_of_keras_cv_is_taken_or_its_extra_is_named():
    try:
        import keras_cv  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"keras-vae\[cv\]"):
            build_augmentation(("keras_cv.layers.RandomShear(0.1, 0.1)",), SHAPE, 0)
    else:
        augment = build_augmentation(("keras_cv.layers.RandomShear(0.3, 0.3)",), (12, 10, 3), 0)
        images = tf.random.stateless_uniform((4, 12, 10, 3), (0, 1))
        assert float(tf.reduce_mean(tf.abs(augment(images, tf.constant(0, tf.int64)) - images))) > 0.01
