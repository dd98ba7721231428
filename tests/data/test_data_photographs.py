"""Folders of photographs that are cut into squares: in memory and through the cache, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from keras_vae.config import DataConfig
from keras_vae.data import load_dataset
from keras_vae.errors import InputError


def write(folder, sizes, first=0):
    """Noise whose red channel is the number of the photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (height, width) in enumerate(sizes, first):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels[..., 0] = number
        Image.fromarray(pixels).save(folder / f"{number:04}.png")


def load(folder, crop=8, **settings):
    said = []
    config = DataConfig(dataset=f"folder:{folder}", crop=crop, **settings)
    return load_dataset(config, say=said.append), said


def numbers_in(split):
    return set(split.first(split.count)[0][..., 0].ravel().tolist())


@pytest.fixture
def photos(tmp_path):
    """Ten photographs of 8×24 to 17×33 pixels."""
    write(tmp_path / "photos", [(8 + i, 24 + i) for i in range(10)])
    return tmp_path / "photos"


def test_no_photograph_is_both_trained_and_tested_on(photos):
    dataset, said = load(photos, test_fraction=0.3)
    train, test = numbers_in(dataset.train), numbers_in(dataset.test)
    assert train | test == set(range(10))
    assert not train & test
    assert dataset.image_shape == (8, 8, 3)
    assert said[-1] == (
        f"{photos}: {dataset.train.count} random squares of 7 photographs make an epoch; {dataset.test.count} tiles of "
        "3 photographs are tested on"
    )


def test_squares_have_the_labels_of_their_photographs(tmp_path):
    write(tmp_path / "cat", [(20, 30)] * 10)
    write(tmp_path / "dog", [(40, 20)] * 10, first=10)
    dataset, _ = load(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.class_counts == [9 * 6, 9 * 10]
    for split in (dataset.train, dataset.test):
        images, labels = split.first(split.count)
        np.testing.assert_array_equal(images[:, 0, 0, 0] >= 10, labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cache_gives_the_same_squares_as_memory(photos, tmp_path, channels):
    options = {"channels": channels, "crop_scale": 1.5}
    whole, _ = load(photos, **options)
    cached, _ = load(photos, cache_dir=str(tmp_path / "cache"), memory_limit=0, **options)
    assert cached.describe() == whole.describe()
    for split, expected in ((cached.train, whole.train), (cached.test, whole.test)):
        np.testing.assert_array_equal(split.first(100)[0], expected.first(100)[0])


def test_squares_of_another_size_are_cut_from_the_same_cached_pixels(photos, tmp_path, monkeypatch):
    first, _ = load(photos, cache_dir=str(tmp_path / "cache"))
    monkeypatch.setattr("keras_vae.data.decoding.read_image", None)
    again, _ = load(photos, crop=6, crop_scale=1.2, cache_dir=str(tmp_path / "cache"))
    assert again.describe()["sha256"] == first.describe()["sha256"]
    assert again.describe()["image_shape"] == [6, 6, 3]
    assert again.describe()["counts"] != first.describe()["counts"]


def test_a_truncated_cache_is_refused_by_name(photos, tmp_path):
    load(photos, cache_dir=str(tmp_path / "cache"))
    for file in (tmp_path / "cache").glob("*.pixels"):
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="pixels: ends too early; remove it"):
        load(photos, cache_dir=str(tmp_path / "cache"))


def test_photographs_that_do_not_fit_into_memory_are_refused_before_they_are_decoded(photos, monkeypatch):
    total = sum(3 * (8 + i) * (24 + i) for i in range(10))
    load(photos, memory_limit=total)
    monkeypatch.setattr("keras_vae.data.decoding.read_image", None)
    with pytest.raises(InputError) as caught:
        load(photos, memory_limit=total - 1)
    assert str(caught.value) == (
        f"{photos}: its photographs have {total:,} bytes of pixels, more than the {total - 1:,} of --memory-limit; "
        "raise that, or keep the pixels on disk with --cache-dir"
    )


@pytest.mark.parametrize("cached", [False, True])
def test_a_few_small_and_damaged_photographs_are_named_and_left_out(tmp_path, cached):
    options = {"cache_dir": str(tmp_path / "cache")} if cached else {}
    write(tmp_path / "photos", [(9, 8 if i else 20) for i in range(250)])
    write(tmp_path / "photos", [(7, 30)], first=7)
    (tmp_path / "photos" / "0011.png").write_bytes(b"damaged")
    dataset, said = load(tmp_path / "photos", **options)
    assert dataset.train.count + dataset.test.count == 249  # 248 of one square, and one of two
    faults = sorted(said[:2])
    assert faults[0] == f"{tmp_path}/photos/0007.png: is 30×7, smaller than --crop 8"
    assert faults[1].startswith(f"{tmp_path}/photos/0011.png: cannot be read")
    assert said[2] == f"{tmp_path}/photos: 2 of 250 image files cannot be cut into squares and are left out"
    assert not {7, 11} & (numbers_in(dataset.train) | numbers_in(dataset.test))


def test_too_many_small_photographs_stop_the_run(photos):
    with pytest.raises(InputError, match=r"2 of 10 image files cannot be cut .* below 1%"):
        load(photos, crop=10)


@pytest.mark.parametrize("cached", [False, True])
def test_strict_stops_at_a_small_photograph(photos, tmp_path, cached):
    options = {"cache_dir": str(tmp_path / "cache")} if cached else {}
    with pytest.raises(InputError, match="is 24×8, smaller than --crop 9"):
        load(photos, crop=9, strict=True, **options)


def test_photographs_are_turned_before_they_are_cut(tmp_path):
    tall = np.zeros((32, 8, 3), np.uint8)
    tall[16:] = 255
    exif = Image.new("RGB", (1, 1)).getexif()
    exif[0x0112] = 6  # to be turned by 90° clockwise: what is at the bottom comes to the left
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        Image.fromarray(tall).save(tmp_path / name / "turned.png", exif=exif)
    dataset, _ = load(tmp_path, crop=8)
    found = dataset.test.first(4)[0]
    assert all(len(np.unique(tile)) == 1 for tile in found)
    assert sorted(tile.max() for tile in found) == [0, 0, 255, 255]
