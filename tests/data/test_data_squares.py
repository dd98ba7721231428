"""Squares of photographs whose pixels are their own row, column and photograph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_vae.data import Part, build_augmentation, training_batches
from keras_vae.data.squares import Crop, random_squares, shrunk_square, tiles

SIDES = st.integers(1, 7)


def photograph(height, width, number=0):
    y, x = np.indices((height, width))
    return np.stack([y, x, np.full_like(x, number)], -1).astype(np.uint8)


def photographs(sizes):
    return [photograph(*size, number) for number, size in enumerate(sizes)]


@st.composite
def albums(draw):
    """The side of squares, and photographs that are large enough for it."""
    side = draw(SIDES)
    length = st.integers(side, 30)
    return side, photographs(draw(st.lists(st.tuples(length, length), min_size=1, max_size=4)))


def split_of(images, side, scale=1.0):
    """Random squares, with the number of each photograph as its label."""
    return random_squares(images, Crop(side, scale), np.arange(len(images), dtype=np.int32), "")


@given(album=albums(), seed=st.integers(0, 5))
@settings(max_examples=50)
def test_every_square_is_a_part_of_its_photograph_and_each_has_its_share(album, seed):
    side, images = album
    split = split_of(images, side)
    shares = [(image.shape[0] // side) * (image.shape[1] // side) for image in images]
    assert split.count == sum(shares)
    assert np.bincount(split.labels, minlength=len(images)).tolist() == shares
    for epoch in range(3):
        squares = split.seeded(seed).read(np.arange(split.count) + epoch * split.count)
        for square, label in zip(squares, split.labels, strict=True):
            top, left, number = square[0, 0]
            assert number == label
            np.testing.assert_array_equal(square, images[number][top : top + side, left : left + side])


@given(album=albums())
def test_tiles_cover_the_middle_of_each_photograph_once(album):
    side, images = album
    split = tiles(images, Crop(side), np.arange(len(images), dtype=np.int32), "")
    seen = [np.zeros(image.shape[:2], int) for image in images]
    found, labels = split.first(split.count)
    for square, label in zip(found, labels, strict=True):
        top, left, number = square[0, 0]
        assert number == label
        np.testing.assert_array_equal(square, images[number][top : top + side, left : left + side])
        seen[number][top : top + side, left : left + side] += 1
    for image in seen:
        borders = [length % side for length in image.shape]
        middle = tuple(
            slice(border // 2, length - border + border // 2)
            for border, length in zip(borders, image.shape, strict=True)
        )
        assert (image[middle] == 1).all()
        assert image.sum() == image[middle].size


@given(
    size=st.integers(5, 24),
    side=st.integers(3, 5),
    top=st.integers(0, 8),
    left=st.integers(0, 16),
    is_grey=st.booleans(),
)
@settings(max_examples=50)
def test_a_larger_square_is_shrunk_as_pillow_shrinks_that_part_of_the_photograph(size, side, top, left, is_grey):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 1 if is_grey else 3), dtype=np.uint8)
    box = (left, top, left + size, top + size)
    expected = Image.fromarray(pixels.squeeze()).resize((side, side), Image.Resampling.LANCZOS, box)
    found = shrunk_square(pixels, top, left, size, side)
    np.testing.assert_array_equal(found, np.asarray(expected).reshape(side, side, -1))


def test_positions_are_uniform():
    # 9 × 7 places, chi-square with 62 degrees of freedom, 99.9 % quantile 103.
    split = split_of([photograph(11, 9)], 3)
    found = split.read(np.arange(6300))[:, 0, 0].astype(int)
    counts = np.bincount(found[:, 0] * 7 + found[:, 1], minlength=63)
    assert ((counts - 100) ** 2 / 100).sum() < 103


def test_sizes_are_log_uniform_up_to_the_scale_and_the_photograph():
    side = 8
    for height, largest in ((200, 32), (16, 16)):
        split = split_of([photograph(height, 240)], side, 4.0)
        squares = split.read(np.arange(1000)).astype(float)
        # The columns that the middles of the first and the last pixel show are (side - 1) / side of the size apart.
        sizes = (squares[:, 4, -2, 1] - squares[:, 4, 1, 1]) * side / (side - 3)
        # Rounding of pixel values moves a size by at most 1.6.
        assert sizes.min() > side - 1.7
        assert sizes.max() < largest + 1.7
        quartiles = np.quantile(sizes, [0.25, 0.5, 0.75])
        np.testing.assert_allclose(quartiles, side * (largest / side) ** np.array([0.25, 0.5, 0.75]), rtol=0.12)


def test_squares_are_the_same_for_the_same_seed_and_others_for_another_seed_or_epoch():
    split = split_of([photograph(60, 60)], 6)
    numbers = np.arange(split.count)
    first, again, other = (split.seeded(seed).read(numbers) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    for different in (other, split.seeded(3).read(numbers + split.count)):
        assert (first[:, 0, 0] != different[:, 0, 0]).any(-1).mean() > 0.9


def test_the_first_squares_are_of_all_photographs():
    images = photographs([(40, 40)] * 10)
    for split in (split_of(images, 10), tiles(images, Crop(10), None, "")):
        assert len(set(split.first(20)[0][:, 0, 0, 2])) == 10


def batches_of(split, count, **options):
    batches = training_batches(split, 6, seed=7, **options).take(count)
    return [(images.copy(), labels.copy()) for images, labels in batches.as_numpy_iterator()]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for (images, labels), (same_images, same_labels) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


@pytest.fixture(scope="module")
def album_split():
    return split_of(photographs([(20, 21), (16, 40), (9, 8)]), 4, 2.0)


@pytest.fixture(scope="module")
def unbroken(album_split):
    return batches_of(album_split, 3 * (album_split.count // 6))


def test_training_batches_go_together_with_their_labels_and_differ_between_epochs(album_split, unbroken):
    for images, labels in unbroken:
        np.testing.assert_array_equal(np.rint(255 * images[:, 0, 0, 2]), labels)
    steps = album_split.count // 6
    shown = [
        {image.tobytes() for images, _ in unbroken[epoch * steps :][:steps] for image in images} for epoch in (0, 1)
    ]
    assert len(shown[0] & shown[1]) < 0.2 * len(shown[0])


@pytest.mark.parametrize(("epoch", "step"), [(0, 3), (1, 0), (1, 2)])
def test_a_resumed_run_sees_the_squares_of_an_unbroken_one(album_split, unbroken, epoch, step):
    start = epoch * (album_split.count // 6) + step
    assert_same(batches_of(album_split, 4, first_epoch=epoch, first_step=step), unbroken[start : start + 4])


def test_workers_read_the_parts_of_the_same_batches(album_split, unbroken):
    for number in range(2):
        part = batches_of(album_split, 8, part=Part((number,), 2))
        assert_same(part, [(images[number::2], labels[number::2]) for images, labels in unbroken[:8]])


def test_random_flip_mirrors_about_half_of_the_squares_of_a_batch():
    split = split_of([photograph(40, 40)], 4)
    flip = build_augmentation(["RandomFlip('horizontal')"], (4, 4, 3), seed=0)
    batches = [training_batches(split, 100, seed=7, augment=augment) for augment in (None, flip)]
    plain, flipped = (next(batch.as_numpy_iterator())[0] for batch in batches)
    is_mirrored = (flipped[:, 0, 0] != plain[:, 0, 0]).any(-1)
    assert 30 < is_mirrored.sum() < 70
    np.testing.assert_array_equal(flipped, np.where(is_mirrored[:, None, None, None], plain[:, :, ::-1], plain))
