"""What the page shows of a model, against NumPy, SciPy and scikit-learn."""

import numpy as np
import pytest
from made_up_explorations import make_exploration
from scipy.stats import norm
from sklearn.decomposition import PCA

from keras_vae.explorer.exploration import MOST_IMAGES, arrays_of, facts_of, images_shown, kl_per_dimension


def test_the_kl_of_a_dimension_is_the_mean_of_the_integral():
    means = np.array([[0.5, 0.0], [-1.0, 0.0]], np.float32)
    log_vars = np.log(np.array([[0.25, 1.0], [0.04, 1.0]], np.float32))

    found = kl_per_dimension(means, log_vars)

    z = np.linspace(-8, 8, 200_001)
    integrals = []
    for mean, log_var in zip(means[:, 0], log_vars[:, 0], strict=True):
        q = norm(mean, np.exp(log_var / 2))
        integrals.append(np.trapezoid(q.pdf(z) * (q.logpdf(z) - norm.logpdf(z)), z))
    np.testing.assert_allclose(found, [np.mean(integrals), 0], atol=1e-5)


def test_the_most_active_dimensions_come_first_and_span_the_first_plane():
    exploration = make_exploration(latent_shape=(4,))
    exploration.log_vars[:, 2], exploration.log_vars[:, 1] = -9, -7

    facts = facts_of(exploration)

    assert [dimension["index"] for dimension in facts["dimensions"]][:2] == [2, 1]
    assert facts["planes"][0]["axes"] == [[0, 0, 1, 0], [0, 1, 0, 0]]
    assert facts["planes"][0]["axisNames"] == ["z₂", "z₁"]


def test_the_second_plane_has_the_principal_components():
    exploration = make_exploration(count=200, latent_shape=(5,))
    exploration.means[:, 3] *= 4

    plane = facts_of(exploration)["planes"][1]

    pca = PCA(2).fit(exploration.means)
    np.testing.assert_allclose(plane["centre"], pca.mean_, atol=1e-5)
    np.testing.assert_allclose(np.abs(plane["axes"]), np.abs(pca.components_), atol=1e-5)


def test_a_plane_of_two_dimensions_is_the_latent_space_itself_and_the_only_one():
    (plane,) = facts_of(make_exploration())["planes"]
    assert (plane["axes"], plane["centre"], plane["middle"]) == ([[1, 0], [0, 1]], [0, 0], [0, 0])
    assert plane["half"] >= 3.3


def test_a_latent_of_one_dimension_has_a_plane_whose_second_axis_is_nothing():
    (plane,) = facts_of(make_exploration(latent_shape=(1,)))["planes"]
    assert (plane["axes"], plane["axisNames"]) == ([[1], [0]], ["z₀"])


def test_distances_of_a_plain_autoencoder_are_told_in_deviations_of_its_latents():
    exploration = make_exploration(is_variational=False)
    exploration.means[:] = exploration.means * [30, 10] + [100, 0]

    facts = facts_of(exploration)

    first = facts["dimensions"][0]
    assert (first["index"], first["kl"], facts["drawsFromNormal"]) == (0, None, False)
    np.testing.assert_allclose(first["sigma"], exploration.means[:, 0].std(), rtol=1e-5)
    np.testing.assert_allclose(first["centre"], exploration.means[:, 0].mean(), rtol=1e-5)
    (plane,) = facts["planes"]
    places = exploration.means - plane["middle"]
    assert np.abs(places).max() < plane["half"] * 1.5


def test_directions_of_spatial_latents_are_principal_and_as_long_as_a_deviation():
    exploration = make_exploration(count=70, latent_shape=(2, 3, 4))

    arrays, facts = arrays_of(exploration), facts_of(exploration)

    for found, rows in (
        (arrays["channels"], exploration.means.reshape(-1, 4)),
        (arrays["wholes"], exploration.means),
    ):
        pca = PCA(len(found)).fit(rows)
        # PCA divides by one less.
        lengths = np.sqrt(pca.explained_variance_ * (len(rows) - 1) / len(rows))
        np.testing.assert_allclose(np.abs(found), np.abs(pca.components_ * lengths[:, None]), atol=1e-4)
    assert facts["directions"] == [*(f"direction {n}" for n in range(1, 13)), *(f"overall {n}" for n in range(1, 5))]
    assert "means" not in arrays
    assert facts["planes"] == facts["dimensions"] == []


def test_few_images_have_more_positions_than_directions_and_the_same_is_found_from_the_smaller_matrix():
    exploration = make_exploration(count=70, latent_shape=(8, 8, 4))
    wholes = arrays_of(exploration)["wholes"]
    pca = PCA(12).fit(exploration.means)
    np.testing.assert_allclose(
        np.abs(wholes), np.abs(pca.components_ * np.sqrt(pca.explained_variance_ * 69 / 70)[:, None]), atol=1e-3
    )


def test_directions_of_whole_latents_need_enough_images():
    exploration = make_exploration(count=20, latent_shape=(2, 3, 4))
    assert "wholes" not in arrays_of(exploration)
    assert facts_of(exploration)["directions"] == [f"overall {number}" for number in range(1, 5)]


@pytest.mark.parametrize(("edge", "paper"), [(0, 0), (255, 255)])
def test_the_paper_to_draw_on_is_as_bright_as_the_edges_of_the_images(edge, paper):
    images = np.full((3, 6, 5, 1), edge, np.uint8)
    images[:, 2:4, 2:4] = 255 - edge
    assert facts_of(make_exploration(count=3, images=images))["drawing"]["paper"] == paper


def test_a_page_shows_fewer_large_images():
    assert images_shown((28, 28, 1)) == MOST_IMAGES
    assert images_shown((256, 256, 3)) == 10
    assert images_shown((2048, 2048, 3)) == 4
