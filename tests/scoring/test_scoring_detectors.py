"""What detectors measure, against SciPy and scikit-learn."""

import keras
import numpy as np
import pytest
import scipy.ndimage
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.neighbors import NearestNeighbors

from keras_vae.errors import InputError
from keras_vae.losses import VGG16Features
from keras_vae.metrics import mse
from keras_vae.scoring import PaDiM, PatchCore, VAEDetector
from keras_vae.scoring.heat import resized, smoothed
from keras_vae.scoring.patchcore import coreset
from keras_vae.scoring.patches import patch_features

numpy_of = keras.ops.convert_to_numpy


@pytest.fixture(scope="module")
def normal(squares):
    return squares(24, 0)


@pytest.fixture(scope="module")
def others(squares):
    images = squares(3, 1)
    images[0, :, 7] = 1
    return images


@pytest.mark.parametrize("size", [(16, 16), (40, 24)])
def test_a_map_is_smoothed_by_a_gaussian(size):
    maps = np.random.default_rng(0).random((2, *size)).astype("float32")

    found = numpy_of(smoothed(maps))

    sigma = max(size) / 64
    for one, of in zip(found, maps, strict=True):
        radius = int(np.ceil(3 * sigma))
        expected = scipy.ndimage.gaussian_filter(of.astype(float), sigma, mode="mirror", radius=radius)
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_a_map_of_one_value_keeps_it_at_every_size():
    np.testing.assert_allclose(numpy_of(resized(np.full((1, 3, 4), 0.7, "float32"), 16, 17)), 0.7, atol=1e-6)


def test_the_grid_of_patches_has_at_most_32_positions_a_side_and_a_border_of_its_own():
    network = VGG16Features("bundled", 3)

    assert patch_features(network(np.zeros((1, 16, 24, 1), "float32"))).shape == (1, 4, 6, 384)
    assert patch_features(network(np.zeros((1, 160, 256, 3), "float32"))).shape == (1, 20, 32, 384)


def test_a_cell_is_the_mean_of_its_area():
    network = VGG16Features("bundled", 3)
    image = np.random.default_rng(0).random((1, 22, 16, 1)).astype("float32")

    found = numpy_of(patch_features(network(image)))[0]

    # Eleven rows of the second tap in five cells: the first has two and a fifth of the third.
    rows = scipy.ndimage.uniform_filter(numpy_of(network(image)[1])[0], (3, 3, 1), mode="constant")
    counts = scipy.ndimage.uniform_filter(np.ones((11, 8, 1)), (3, 3, 1), mode="constant")
    rows = (rows / counts).reshape(11, 4, 2, 128).mean(axis=2)
    assert found.shape == (5, 4, 384)
    np.testing.assert_allclose(found[0, :, :128], (rows[0] + rows[1] + 0.2 * rows[2]) / 2.2, atol=1e-4)
    np.testing.assert_allclose(found[..., :128].mean(axis=0), rows.mean(axis=0), atol=1e-4)


def test_padim_gives_the_mahalanobis_distance_of_each_position(normal, others):
    detector = PaDiM(dimensions=10, seed=3)
    detector.fit(normal)

    found = numpy_of(detector.distances(detector.network(others)))

    chosen = numpy_of(detector.chosen).astype(int)
    of_normal, of_others = (
        numpy_of(patch_features(detector.network(images)))[..., chosen].astype(float) for images in (normal, others)
    )
    for image, row, column in ((0, 0, 0), (0, 2, 1), (2, 3, 3)):
        sample = of_normal[:, row, column]
        inverse = np.linalg.inv(np.cov(sample.T) + 0.01 * np.eye(10))
        expected = mahalanobis(of_others[image, row, column], sample.mean(axis=0), inverse)
        assert found[image, row, column] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(
        numpy_of(detector.measure(others)["padim"]), numpy_of(detector.heat(others)).max(axis=(1, 2)), rtol=1e-6
    )


def test_patchcore_finds_the_nearest_patch_of_its_memory(normal, others):
    detector = PatchCore(memory=50)
    detector.fit(normal)

    distances, features = (numpy_of(found) for found in detector.nearest(detector.network(others)))

    memory = numpy_of(detector.patches)
    assert memory.shape == (50, 384)
    expected, _ = NearestNeighbors(n_neighbors=1).fit(memory).kneighbors(features.reshape(-1, 384))
    # Squared distances are differences of large numbers.
    np.testing.assert_allclose(distances.reshape(-1), expected[:, 0], atol=0.05)


def test_an_image_with_a_line_is_the_farthest_for_both(normal, others):
    for detector in (PaDiM(dimensions=30), PatchCore(memory=50)):
        detector.fit(normal)
        (found,) = (numpy_of(values) for values in detector.measure(others).values())
        assert found[0] > 1.5 * found[1:].max()
        heat = numpy_of(detector.heat(others))
        assert heat.shape == (3, 16, 16)
        assert heat[0, :, 5:10].mean() > 1.2 * heat[1:].mean()


def test_the_coreset_is_the_greedy_choice_of_the_farthest_point():
    points = np.random.default_rng(0).normal(size=(200, 5)).astype("float32")

    chosen = coreset(points, 20, np.random.default_rng(1))

    expected = [chosen[0]]
    for _ in range(19):
        distances = np.linalg.norm(points[:, None] - points[expected], axis=-1).min(axis=1)
        expected.append(int(np.argmax(distances)))
    assert list(chosen) == expected
    assert list(coreset(points[:7], 20, np.random.default_rng(1))) == list(range(7))


def test_the_vae_measures_its_errors_and_the_distances_of_its_latents(vae, normal, others):
    detector = VAEDetector(vae, neighbours=4)
    detector.fit(normal)

    found = {name: numpy_of(values) for name, values in detector.measure(others).items()}

    assert tuple(found) == detector.measure_names
    np.testing.assert_allclose(found["mse"], numpy_of(mse(others, vae.reconstruct(others))), rtol=1e-5)
    np.testing.assert_allclose(found["negative_elbo"], found["nll"] + found["kl"], rtol=1e-5)
    of_normal, of_others = (numpy_of(vae.encode(images)[0]).astype(float) for images in (normal, others))
    distances, _ = NearestNeighbors(n_neighbors=4).fit(of_normal).kneighbors(of_others)
    np.testing.assert_allclose(found["neighbours"], distances.mean(axis=1), atol=1e-3)
    covariance = np.cov(of_normal.T)
    weight = 3 / (24 + 3)
    shrunk = (1 - weight) * covariance + weight * np.trace(covariance) / 3 * np.eye(3)
    expected = [mahalanobis(row, of_normal.mean(axis=0), np.linalg.inv(shrunk)) for row in of_others]
    np.testing.assert_allclose(found["mahalanobis"], expected, rtol=1e-3)
    np.testing.assert_allclose(found["density"], density_of(detector, of_others), rtol=1e-4)
    np.testing.assert_allclose(found["local"], numpy_of(detector.heat(others)).max(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("draws", [1, 7])
def test_the_likelihood_is_that_of_importance_sampling(vae, normal, others, draws):
    detector = VAEDetector(vae, importance_samples=draws, seed=3)
    detector.fit(normal)

    found = numpy_of(detector.measure(others)["importance_nll"])

    mean, log_var = (numpy_of(part).astype(float) for part in vae.encode(others))
    log_weights = []
    for draw in np.random.default_rng(3).standard_normal((draws, 3), np.float32):
        z = mean + np.exp(0.5 * log_var) * draw
        decoded = numpy_of(vae.decode(z.astype("float32")))
        log_likelihood = norm(decoded, float(vae.likelihood_scale)).logpdf(others).sum(axis=(1, 2, 3))
        ratio = norm.logpdf(z).sum(axis=1) - norm(mean, np.exp(0.5 * log_var)).logpdf(z).sum(axis=1)
        log_weights.append(log_likelihood + ratio)
    np.testing.assert_allclose(found, np.log(draws) - logsumexp(log_weights, axis=0), rtol=1e-4)


def density_of(detector, latents):
    """-log p of latents by SciPy, from the detector's components."""
    whitened = (latents - numpy_of(detector.center)) @ numpy_of(detector.whitening)
    factors = numpy_of(detector.component_factors).astype(float)
    volumes = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    constants = volumes - whitened.shape[1] / 2 * np.log(2 * np.pi)
    log_weights = numpy_of(detector.component_levels) - constants
    parts = [
        log_weight + multivariate_normal(mean, np.linalg.inv(factor @ factor.T)).logpdf(whitened)
        for log_weight, mean, factor in zip(log_weights, numpy_of(detector.component_means), factors, strict=True)
    ]
    assert np.exp(log_weights).sum() == pytest.approx(1, abs=1e-5)
    return -np.atleast_2d(logsumexp(parts, axis=0))[0]


def test_the_density_is_that_of_a_mixture_of_several_components(vae, squares):
    images = squares(260, 0)
    detector = VAEDetector(vae)
    detector.fit(images)

    assert detector.component_means.shape == (2, 3)
    latents = numpy_of(vae.encode(images[:5])[0]).astype(float)
    np.testing.assert_allclose(
        numpy_of(detector.measure(images[:5])["density"]), density_of(detector, latents), rtol=1e-3
    )


def test_a_detector_that_has_seen_nothing_says_so(vae, others):
    for detector in (VAEDetector(vae), PaDiM(), PatchCore()):
        with pytest.raises(InputError, match=r"has seen no normal images; call fit first"):
            detector.measure(others)
