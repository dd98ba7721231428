"""The manifold, interpolations and traversals: where in the latent space the images come from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from keras_vae.errors import InputError
from keras_vae.visualize import (
    interpolation_picture,
    linear_interpolation,
    manifold_latents,
    manifold_picture,
    slerp,
    traversal_latents,
    traversal_picture,
)

vectors = arrays(np.float32, 5, elements=st.floats(-10, 10, width=32))


def shaded(z):
    """Images that are black at the smallest value and white at the largest: (..., ) → (..., 6, 6, 1)."""
    scaled = (z - z.min()) / np.ptp(z)
    return np.broadcast_to(scaled[..., None, None, None], (*z.shape, 6, 6, 1)).astype(np.float32)


def test_manifold_latents_are_quantiles_of_the_prior():
    z = manifold_latents(2, steps=5)
    expected = norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(z.reshape(5, 5, 2)[2, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(z.reshape(5, 5, 2)[:, 3, 1], expected[::-1], atol=1e-6)
    assert z.dtype == np.float32


def test_manifold_latents_leave_the_other_dimensions_at_the_mean():
    z = manifold_latents(16, steps=4, dimensions=(9, 3))
    assert z.shape == (16, 16)
    assert set(np.nonzero(z.any(axis=0))[0]) == {3, 9}
    # The first named dimension goes to the right.
    assert z[1, 9] > z[0, 9]
    assert z[1, 3] == z[0, 3]


def test_a_latent_of_one_dimension_has_a_manifold_in_one_row():
    z = manifold_latents(1, steps=7)
    np.testing.assert_allclose(z, norm.ppf((np.arange(7) + 0.5) / 7)[:, None], atol=1e-6)
    picture = manifold_picture(shaded(z[:, 0]), dimensions=(0,))
    assert picture.shape[1] > 3 * picture.shape[0]


def test_the_manifold_grows_to_the_right_and_upwards():
    z = manifold_latents(2, steps=6)
    to_the_right = manifold_picture(shaded(z[:, 0])).mean(axis=-1)
    upwards = manifold_picture(shaded(z[:, 1])).mean(axis=-1)
    height, width = to_the_right.shape
    up, down = slice(height // 4, height // 2), slice(height // 2, height * 3 // 4)
    left, right = slice(width // 4, width // 2), slice(width // 2, width * 3 // 4)
    assert to_the_right[up, left].mean() + 30 < to_the_right[up, right].mean()
    assert to_the_right[up, left].mean() == pytest.approx(to_the_right[down, left].mean(), abs=5)
    assert upwards[up, left].mean() > upwards[down, left].mean() + 30


@pytest.mark.parametrize("steps", [1, 2, 20, 31])
def test_a_manifold_of_any_step_count_has_a_readable_picture(steps):
    picture = manifold_picture(np.zeros((steps**2, 28, 28, 1), np.float32))
    assert 400 <= picture.shape[1] <= 1500


@settings(max_examples=200, deadline=None)
@given(start=vectors, end=vectors)
def test_slerp_has_exact_ends_and_never_exceeds_the_larger_norm(start, end):
    walk = slerp(start[None], end[None], 7)[0]
    np.testing.assert_array_equal(walk[0], start)
    np.testing.assert_array_equal(walk[-1], end)
    largest = max(np.linalg.norm(start), np.linalg.norm(end))
    assert np.isfinite(walk).all()
    assert (np.linalg.norm(walk, axis=1) <= largest * (1 + 1e-5) + 1e-6).all()


@settings(max_examples=200, deadline=None)
@given(start=vectors, end=vectors)
def test_slerp_keeps_the_norm_of_ends_of_equal_norm(start, end):
    if min(np.linalg.norm(start), np.linalg.norm(end)) < 1e-3:
        return
    start, end = (2 * vector.astype(np.float64) / np.linalg.norm(vector.astype(np.float64)) for vector in (start, end))
    walk = slerp(start[None], end[None], 9)[0]
    # float32 codes; a chord taken for an arc below 1e-4 rad is off by the square of that.
    np.testing.assert_allclose(np.linalg.norm(walk, axis=1), 2, rtol=1e-5)


def test_slerp_is_whites_formula_for_ends_of_equal_norm():
    rng = np.random.default_rng(0)
    start, end = (3 * ends / np.linalg.norm(ends, axis=1, keepdims=True) for ends in rng.normal(size=(2, 20, 8)))
    omega = np.arccos((start * end).sum(axis=1) / 9)[:, None, None]
    t = np.linspace(0, 1, 6)[None, :, None]
    expected = (np.sin((1 - t) * omega) * start[:, None] + np.sin(t * omega) * end[:, None]) / np.sin(omega)
    np.testing.assert_allclose(slerp(start, end, 6), expected, atol=1e-5)


def test_slerp_between_right_angles_passes_the_diagonal():
    walk = slerp([[1.0, 0.0]], [[0.0, 3.0]], 3)
    np.testing.assert_allclose(walk[0, 1], np.array([1, 1]) / np.sqrt(2) * 2, atol=1e-6)


@pytest.mark.parametrize("end", [[1.0, 2.0], [2.0, 4.0], [0.0, 0.0], [1.0 + 1e-6, 2.0]])
def test_slerp_of_parallel_or_zero_ends_is_the_straight_line(end):
    start = [[1.0, 2.0]]
    np.testing.assert_allclose(slerp(start, [end], 5), linear_interpolation(start, [end], 5), atol=1e-6)


def test_slerp_of_opposite_ends_goes_around_the_origin():
    walk = slerp([[2.0, 0.0, 0.0]], [[-2.0, 0.0, 0.0]], 9)
    np.testing.assert_allclose(np.linalg.norm(walk[0], axis=1), 2, rtol=1e-6)


def test_slerp_in_one_dimension_is_the_straight_line():
    np.testing.assert_allclose(slerp([[-1.0]], [[1.0]], 5)[0, :, 0], np.linspace(-1, 1, 5), atol=1e-7)


def test_each_walk_depends_on_its_own_ends_alone():
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 4, 3))
    one_by_one = np.concatenate([slerp(first[None], last[None], 5) for first, last in zip(start, end, strict=True)])
    np.testing.assert_array_equal(slerp(start, end, 5), one_by_one)


def test_linear_interpolation_has_equal_steps():
    walk = linear_interpolation([[0.0, 1.0]], [[4.0, -1.0]], 5)
    np.testing.assert_allclose(walk[0], [[0, 1], [1, 0.5], [2, 0], [3, -0.5], [4, -1]])
    assert walk.dtype == np.float32


def test_traversal_changes_one_dimension_at_a_time():
    z = traversal_latents(4, steps=7)
    assert z.shape == (4, 7, 4)
    for dimension in range(4):
        np.testing.assert_allclose(z[dimension, :, dimension], np.linspace(-3, 3, 7), atol=1e-6)
        assert not np.delete(z[dimension], dimension, axis=1).any()


def test_traversal_starts_from_a_base_and_visits_chosen_dimensions():
    z = traversal_latents(3, low=-1, high=1, steps=3, dimensions=[2, 0], base=[5, 6, 7])
    np.testing.assert_array_equal(z, [[[5, 6, -1], [5, 6, 0], [5, 6, 1]], [[-1, 6, 7], [0, 6, 7], [1, 6, 7]]])


def test_the_pictures_of_walks_show_every_image():
    rng = np.random.default_rng(0)
    images = rng.integers(100, 200, (3, 5, 1, 1, 1), dtype=np.uint8).repeat(6, axis=2).repeat(6, axis=3)
    originals = np.full((3, 2, 6, 6, 1), 77, np.uint8)
    pictures = (
        interpolation_picture(images, originals),
        traversal_picture(images, row_names=["a", "b", "c"]),
    )
    for picture in pictures:
        assert picture.dtype == np.uint8
        for shade in np.unique(images):
            # Larger than any letter: an image's own area.
            assert (picture == shade).all(axis=-1).sum() >= 36
    assert (pictures[0] == 77).all(axis=-1).sum() > (pictures[1] == 77).all(axis=-1).sum()


@pytest.mark.parametrize("latent_dim", [1, 2, 16, 64])
def test_a_traversal_of_any_latent_size_has_a_picture(latent_dim):
    picture = traversal_picture(np.zeros((latent_dim, 13, 28, 28, 1), np.float32))
    assert max(picture.shape) < 2100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: manifold_latents(2, steps=0), "at least 1"),
        (lambda: manifold_latents(2, dimensions=(0, 2)), "0 to 1"),
        (lambda: manifold_latents(2, dimensions=(1, 1)), "different"),
        (lambda: manifold_picture(np.zeros((5, 4, 4, 1))), "steps × steps"),
        (lambda: slerp(np.zeros((2, 3)), np.zeros((2, 4)), 5), "same shape"),
        (lambda: slerp(np.zeros((2, 3)), np.zeros((2, 3)), 1), "at least 2"),
        (lambda: traversal_latents(2, dimensions=[2]), "0 to 1"),
        (lambda: traversal_latents(2, steps=1), "at least 2"),
        (lambda: traversal_latents(2, base=[0.0]), "base"),
        (lambda: traversal_picture(np.zeros((2, 3, 4, 4, 1)), row_names=["a"]), "2 names"),
        (lambda: interpolation_picture(np.zeros((2, 3, 4, 4, 1)), np.zeros((1, 2, 4, 4, 1))), "2 pairs"),
        (lambda: interpolation_picture(np.zeros((2, 4, 4, 1))), "steps"),
    ],
)
def test_what_is_no_walk_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
