"""The Fréchet distance against closed forms and SciPy, and the features that it is taken of."""

import keras
import numpy as np
import pytest
from scipy.linalg import sqrtm

from keras_vae.errors import InputError
from keras_vae.losses import VGG16Features
from keras_vae.metrics import frechet_distance, frechet_features


def white_sample(count, width, seed):
    """Rows whose sample mean is 0 and whose sample covariance is the identity, but for rounding."""
    rows = np.random.default_rng(seed).standard_normal((count, width))
    orthonormal, _ = np.linalg.qr(rows - rows.mean(axis=0))
    return orthonormal * np.sqrt(count - 1)


def correlated_sample(count, width, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) + rng.standard_normal(width)


def test_the_distance_of_diagonal_gaussians_is_that_of_their_means_and_deviations():
    deviations, other_deviations = np.array([1.0, 2.0, 0.5, 0.0]), np.array([3.0, 2.0, 0.0, 0.0])
    mean, other_mean = np.array([1.0, -2.0, 0.0, 4.0]), np.array([0.0, 0.0, 0.0, 1.0])

    distance = frechet_distance(
        white_sample(30, 4, 0) * deviations + mean, white_sample(50, 4, 1) * other_deviations + other_mean
    )

    expected = ((mean - other_mean) ** 2).sum() + ((deviations - other_deviations) ** 2).sum()
    assert distance == pytest.approx(expected, rel=1e-12)


def test_the_distance_of_correlated_features_is_that_of_scipys_matrix_root():
    features, other_features = correlated_sample(200, 12, 0), correlated_sample(100, 12, 1)
    covariance, other_covariance = np.cov(features.T), np.cov(other_features.T)
    root = sqrtm(covariance @ other_covariance).real
    expected = np.square(features.mean(axis=0) - other_features.mean(axis=0)).sum()
    expected += np.trace(covariance + other_covariance - 2 * root)

    assert frechet_distance(features, other_features) == pytest.approx(expected, rel=1e-9)


def test_singular_covariances_give_the_distance_within_their_subspace():
    features, other_features = correlated_sample(9, 3, 0), correlated_sample(7, 3, 1)
    isometry, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((40, 3)))

    # Fewer images than features, and all of them in three dimensions of forty.
    distance = frechet_distance(features @ isometry.T, other_features @ isometry.T)

    assert distance == pytest.approx(frechet_distance(features, other_features), rel=1e-9)


def test_the_distance_of_a_set_to_itself_is_zero_in_any_order_and_that_of_a_shift_its_square():
    features = correlated_sample(50, 8, 0).astype("float32")
    scale = np.square(features).sum(axis=1).mean()

    assert 0 <= frechet_distance(features, features[::-1]) < 1e-12 * scale
    assert frechet_distance(features, features + np.float32(2)) == pytest.approx(8 * 4, rel=1e-5)  # float32 rows


@pytest.mark.parametrize("shapes", [((5,), (5,)), ((1, 4), (5, 4)), ((5, 4), (5, 3))])
def test_features_that_have_no_covariance_or_differ_in_width_are_refused(shapes):
    with pytest.raises(InputError, match="the Fréchet distance needs features"):
        frechet_distance(*(np.zeros(shape) for shape in shapes))


def test_the_features_are_the_position_means_of_the_third_block_whatever_the_batches():
    images = np.random.default_rng(0).random((5, 12, 8, 1), "float32")
    activations = keras.ops.convert_to_numpy(VGG16Features("bundled", 3, dtype="float32")(images)[2])
    expected = activations.mean(axis=(1, 2))

    features = frechet_features(images, batch_size=2)

    assert features.shape == (5, 256)
    assert features.dtype == np.float32
    # Convolutions of another batch size, in float32.
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
