"""The discriminator of features: shapes, scale, and what its gradient reaches."""

import keras
import numpy as np
import pytest

from keras_vae.models import FeatureDiscriminator
from keras_vae.models.feature_discriminator import MOMENTUM

SHAPES = [(14, 14, 6), (7, 7, 10)]
rng = np.random.default_rng(0)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random_features(scale=1.0):
    return [(scale * rng.random((3, *shape))).astype("float32") for shape in SHAPES]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_every_position_of_every_map_has_a_float32_logit_large_maps_halved(policy):
    model = FeatureDiscriminator(SHAPES, width=8, dtype=policy)

    for training in (False, True):
        logits = numpy_of(model(random_features(), training=training))

        assert logits.shape == (3, 7 * 7 + 7 * 7)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
    assert {layer.dtype_policy.name for head in model.heads for layer in head} == {policy}


def test_each_map_has_patches_of_its_own():
    model = FeatureDiscriminator(SHAPES, width=8)
    features = random_features()
    changed = [features[0], features[1] + 1.0]

    difference = numpy_of(model(changed) - model(features))

    assert (difference[:, :49] == 0).all()
    assert (difference[:, 49:] != 0).all()


def test_maps_are_divided_by_the_running_root_mean_square_of_training():
    model = FeatureDiscriminator(SHAPES, width=8)
    features = random_features(scale=30.0)
    before = numpy_of(model(features))

    expected = np.ones(2)
    for _ in range(3):
        model.follow(model.mean_squares_of(features))
        expected = MOMENTUM * expected + (1 - MOMENTUM) * np.array([np.square(each).mean() for each in features])

    np.testing.assert_allclose([numpy_of(each) for each in model.mean_squares], expected, rtol=1e-5)
    # Its norms have converged as well, so that what is left is the scale of the input.
    mean_squares = model.mean_squares_of(features)
    for _ in range(400):
        model.follow(mean_squares)
    for _ in range(100):
        model(features, training=True)
    broken = np.array([np.inf, np.nan], "float32")
    model.follow(broken)
    fresh = FeatureDiscriminator(SHAPES, width=8)
    fresh.set_weights(model.get_weights())
    for mean_square in fresh.mean_squares:
        mean_square.assign(1.0)
    divided = [each / np.sqrt(np.square(each).mean()) for each in features]
    np.testing.assert_allclose(numpy_of(model(features)), numpy_of(fresh(divided)), rtol=1e-3, atol=1e-4)
    assert not np.allclose(before, numpy_of(model(features)))


def test_an_untrained_call_changes_no_weight():
    model = FeatureDiscriminator(SHAPES, width=8)
    before = model.get_weights()

    model(random_features())

    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
