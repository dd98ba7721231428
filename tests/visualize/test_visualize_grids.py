"""Grids of images: the tile of an image is that image, in its place."""

import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.visualize import (
    beside,
    frames_beside,
    grids,
    image_grid,
    reconstruction_frames,
    reconstruction_grid,
    scaled,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def find(picture, tile):
    """The left upper corner (row, column) of the only place where ``tile`` stands in ``picture``."""
    rows, columns = np.nonzero((picture == tile[0, 0]).all(axis=-1))
    height, width = tile.shape[:2]
    found = [
        (row, column)
        for row, column in zip(rows, columns, strict=True)
        if np.array_equal(picture[row : row + height, column : column + width], tile)
    ]
    assert len(found) == 1
    return found[0]


def enlarged(image, factor):
    return np.kron(image, np.ones((factor, factor, 1), np.uint8)).repeat(
        4 - image.shape[-1] if image.shape[-1] == 1 else 1, axis=-1
    )


def factor_of(picture, image):
    for factor in range(1, 60):
        try:
            find(picture, enlarged(image, factor))
        except AssertionError:
            continue
        return factor
    raise AssertionError("the image is not in the picture")


@pytest.mark.parametrize("channels", [1, 3])
def test_every_tile_is_its_image_enlarged_by_a_whole_factor_in_reading_order(channels):
    images = noise(6, 9, 7, channels)
    picture = image_grid(images, columns=3, title="Samples")
    assert picture.dtype == np.uint8
    factor = factor_of(picture, images[0])
    assert factor > 1
    places = np.array([find(picture, enlarged(image, factor)) for image in images]).reshape(2, 3, 2)
    assert (places[0, :, 0] == places[0, 0, 0]).all()
    assert (np.diff(places[:, :, 1], axis=1) == 7 * factor + 2).all()
    assert (np.diff(places[:, :, 0], axis=0) == 9 * factor + 2).all()


def test_floats_are_shown_as_their_shade_and_clipped():
    image = np.linspace(-0.5, 1.5, 81, dtype=np.float32).reshape(9, 9, 1)
    expected = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    # Turned around, so that the shade at the corner occurs but once, as the search wants it.
    picture = image_grid(np.roll(image, -40)[None])
    assert factor_of(picture, np.roll(expected, -40)) > 1


def test_pixels_of_a_diverged_model_are_magenta():
    picture = image_grid(np.full((1, 4, 4, 3), np.nan, np.float32))
    assert (picture == (255, 0, 255)).all(axis=-1).any()


def test_large_images_are_made_smaller():
    assert image_grid(noise(16, 512, 512, 3), title="Large").shape[1] < 1600


def test_a_last_row_that_is_not_full_stays_white():
    picture = image_grid(np.zeros((3, 8, 8, 1), np.uint8), columns=2)
    height, width = picture.shape[:2]
    assert (picture[height * 3 // 4, width * 3 // 4] == 255).all()
    assert (picture[height * 3 // 4, width // 4] == 0).all()


@pytest.mark.parametrize(("count", "bands"), [(1, 1), (8, 1), (20, 2), (13, 2)])
def test_each_reconstruction_stands_right_below_its_original(count, bands):
    originals, reconstructions = noise(count, 12, 12, 1), noise(count, 12, 12, 1, seed=1)
    picture = reconstruction_grid(originals, reconstructions, title="Test")
    factor = factor_of(picture, originals[0])
    above = np.array([find(picture, enlarged(image, factor)) for image in originals])
    below = np.array([find(picture, enlarged(image, factor)) for image in reconstructions])
    np.testing.assert_array_equal(below - above, np.tile([12 * factor + 2, 0], (count, 1)))
    assert len(np.unique(above[:, 0])) == bands


def test_frames_keep_the_originals_in_place_and_change_the_title():
    originals = noise(20, 28, 28, 1)
    epochs = [noise(20, 28, 28, 1, seed=epoch) for epoch in (1, 2, 3)]
    frames = reconstruction_frames(originals, epochs, [9, 10, 100], [0.1, 0.01, float("nan")])
    assert len({frame.shape for frame in frames}) == 1
    assert 640 <= frames[0].shape[1] <= 800
    places = {find(frame, enlarged(originals[0], 2)) for frame in frames}
    assert len(places) == 1
    assert not np.array_equal(frames[0][:40], frames[1][:40])


def test_the_title_of_a_frame_has_the_epoch_and_the_mse(monkeypatch):
    titles = []
    monkeypatch.setattr(grids, "reconstruction_grid", lambda *_, title, width: titles.append(title))
    images = noise(2, 4, 4, 1)
    reconstruction_frames(images, [images] * 2, [3, 4], [0.01234, float("nan")])
    reconstruction_frames(images, [images], [5])
    assert titles == [
        "Test reconstructions · epoch 3 · MSE 0.0123",
        "Test reconstructions · epoch 4",
        "Test reconstructions · epoch 5",
    ]


def test_a_long_title_is_shortened_to_the_picture():
    picture = image_grid(noise(1, 8, 8, 1), title="a title that does not end " * 20)
    assert (picture[:, -8:] == 255).all()
    assert picture.shape[1] < 700


def test_pictures_of_any_size_are_set_side_by_side():
    first, second = noise(5, 4, 3), noise(3, 6, 3, seed=1)
    page = beside([first, second], gap=2)
    assert page.shape == (5, 12, 3)
    np.testing.assert_array_equal(page[:, :4], first)
    np.testing.assert_array_equal(page[:3, 6:], second)
    assert (page[3:, 6:] == 255).all()


def test_each_picture_stands_under_its_name():
    pictures = [noise(20, 120, 3), noise(30, 150, 3, seed=1)]
    page = beside(pictures, names=["first", "a name that is far too long " * 9], gap=10)
    heading = page.shape[0] - 30
    assert page.shape[1] == 280
    np.testing.assert_array_equal(page[heading : heading + 20, :120], pictures[0])
    np.testing.assert_array_equal(page[heading:, 130:], pictures[1])
    assert (page[:heading, :120] < 128).any()
    assert (page[:heading, -10:] == 255).all()


def test_many_pictures_stand_in_rows():
    pictures = [noise(5, 4, 3, seed=seed) for seed in range(3)]
    page = beside(pictures, columns=2, gap=1)
    assert page.shape == (11, 9, 3)
    np.testing.assert_array_equal(page[6:, :4], pictures[2])
    assert (page[6:, 4:] == 255).all()


def test_pictures_are_made_smaller_and_never_larger():
    assert scaled(noise(100, 200, 3), 50).shape == (25, 50, 3)
    assert scaled(noise(10, 20, 3), 50).shape == (10, 20, 3)


def test_a_shorter_animation_stands_still_at_its_last_frame():
    first, second = noise(3, 4, 4, 3), noise(2, 4, 4, 3, seed=1)
    frames = frames_beside([list(first), list(second)], gap=0)
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[2], np.concatenate([first[2], second[1]], axis=1))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: image_grid(np.zeros((2, 4, 4, 2), np.uint8)), "1 or 3"),
        (lambda: image_grid(np.zeros((4, 4, 1), np.uint8)), r"\(N, H, W, C\)"),
        (lambda: image_grid(np.zeros((0, 4, 4, 1), np.uint8)), "non-empty"),
        (lambda: image_grid(np.zeros((1, 4, 4, 1), np.int64)), "uint8"),
        (lambda: image_grid(np.zeros((1, 4, 4, 1)), columns=0), "at least 1"),
        (lambda: reconstruction_grid(np.zeros((2, 4, 4, 1)), np.zeros((3, 4, 4, 1))), "same shape"),
        (
            lambda: reconstruction_frames(np.zeros((2, 4, 4, 1)), [np.zeros((2, 4, 4, 1))], [1, 2]),
            "1, 2 and 2",
        ),
        (lambda: beside([]), "no pictures"),
        (lambda: frames_beside([[]]), "at least one frame"),
        (lambda: beside([np.zeros((2, 2, 3), np.uint8)], names=["a", "b"]), "2 for 1"),
        (lambda: beside([np.zeros((2, 2, 3), np.uint8)], columns=0), "at least 1"),
    ],
)
def test_what_is_no_grid_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
