"""Folders of image files: layouts, formats, sizes, damaged and hostile files, streaming and the cache."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_vae.data import evaluation_batches, training_batches
from keras_vae.data.file_list import Splitting
from keras_vae.data.folder import load_folder
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image
from keras_vae.errors import InputError

SHAPE = (8, 8, 3)


def shapes(count, seed=0):
    """Images of several odd sizes. Each has a single colour, so that resizing does not change it."""
    random = np.random.default_rng(seed)
    sizes = [(9, 14), (31, 8), (8, 8), (40, 17)]
    return [np.full((*sizes[i % 4], 3), random.integers(0, 256, 3), np.uint8) for i in range(count)]


def write(folder, images, suffix=".png", first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images, first):
        Image.fromarray(image).save(folder / f"{index:04}{suffix}")


def load(folder, shape=SHAPE, **options):
    said = []
    dataset = load_folder(folder, Framing(shape), say=said.append, **options)
    return dataset, said


def colours(split):
    images, _ = split.first(split.count)
    return sorted(tuple(int(value) for value in image[4, 4]) for image in images)


def test_train_and_test_folders_are_the_splits(tmp_path):
    train, test = shapes(7), shapes(3, seed=1)
    write(tmp_path / "train", train)
    write(tmp_path / "test", test)

    dataset, said = load(tmp_path)

    assert (dataset.name, dataset.source, dataset.class_names) == (tmp_path.name, "folder", None)
    assert dataset.image_shape == SHAPE
    assert colours(dataset.train) == sorted(tuple(map(int, image[0, 0])) for image in train)
    assert colours(dataset.test) == sorted(tuple(map(int, image[0, 0])) for image in test)
    assert said == [f"{tmp_path}: train/ is trained on, test/ is tested on"]


def test_one_folder_is_split_the_same_way_each_time_and_differently_for_another_seed(tmp_path):
    write(tmp_path, shapes(40))
    tests = [colours(load(tmp_path, splitting=Splitting(0.25, seed))[0].test) for seed in (0, 0, 1)]
    assert [len(test) for test in tests] == [10, 10, 10]
    assert tests[0] == tests[1] != tests[2]


def test_folders_are_classes_and_each_is_split_by_the_fraction(tmp_path):
    for name, seed in (("dog", 0), ("cat", 1)):
        write(tmp_path / name, shapes(20, seed))
    dataset, _ = load(tmp_path, splitting=Splitting(0.1))
    assert dataset.class_names == ("cat", "dog")
    assert np.bincount(dataset.train.labels).tolist() == [18, 18]
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]
    cats = {tuple(map(int, image[0, 0])) for image in shapes(20, 1)}
    assert all(
        (tuple(map(int, image[0, 0])) in cats) == (label == 0)
        for image, label in zip(*dataset.test.first(4), strict=True)
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp", ".PNG"])
def test_every_format_is_read(tmp_path, suffix):
    image = np.full((20, 30, 3), (200, 30, 90), np.uint8)
    write(tmp_path, [image], suffix)
    found = read_image(next(tmp_path.iterdir()), Framing(SHAPE))
    assert found.shape == SHAPE
    assert np.abs(found.astype(int) - image[0, 0]).max() <= 4


def test_resizing_is_antialiased(tmp_path):
    """A chequerboard of single pixels becomes uniform grey."""
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    found = read_image(tmp_path / "board.png", Framing((8, 8, 1)))
    assert np.abs(found[1:-1, 1:-1].astype(int) - 127).max() <= 2


def test_other_proportions_are_cropped_padded_or_stretched(tmp_path):
    """Red, green and blue thirds, side by side."""
    image = np.zeros((10, 30, 3), np.uint8)
    for third in range(3):
        image[:, 10 * third : 10 * third + 10, third] = 255
    Image.fromarray(image).save(tmp_path / "flag.png")
    framed = {fit: read_image(tmp_path / "flag.png", Framing((12, 12, 3), fit)) for fit in ("crop", "pad", "stretch")}
    assert (framed["crop"][..., 1] > 200).all()
    assert framed["pad"][[0, 1, 2, 9, 10, 11]].max() == 0
    assert (framed["pad"][5, [1, 6, 10]].argmax(-1) == [0, 1, 2]).all()
    assert (framed["stretch"][:, [1, 6, 10]].argmax(-1) == [0, 1, 2]).all()


def test_transparent_parts_are_white_and_grey_is_luma(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, :4] = (255, 0, 0, 255)
    Image.fromarray(image).save(tmp_path / "half.png")
    assert read_image(tmp_path / "half.png", Framing(SHAPE))[0, [0, 7]].tolist() == [[255, 0, 0], [255, 255, 255]]
    assert read_image(tmp_path / "half.png", Framing((8, 8, 1)))[0, [0, 7], 0].tolist() == [76, 255]


def test_sixteen_bits_a_pixel_keep_their_range(tmp_path):
    Image.fromarray(np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)).save(tmp_path / "deep.png")
    found = read_image(tmp_path / "deep.png", Framing((8, 8, 1)))
    np.testing.assert_allclose(found.ravel(), np.linspace(0, 255, 64), atol=0.6)


def test_photographs_are_turned_as_they_say(tmp_path):
    image = Image.fromarray(np.concatenate([np.zeros((8, 4, 3)), np.full((8, 4, 3), 255)], 1).astype(np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90° clockwise: what is on the left comes to the top
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_image(tmp_path / "turned.png", Framing(SHAPE))
    assert (found[0].max(), found[7].min()) == (0, 255)


def hostile_png(width, height):
    """A PNG of a few bytes that announces ``width`` × ``height`` pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "cannot be read"),
        ("text.jpg", b"no image at all", "cannot be read"),
        (
            "bomb.png",
            hostile_png(100_000, 100_000),
            "100000×100000, more than the 40,000,000 pixels|more pixels than are safe to decode; make it smaller",
        ),
        ("large.png", hostile_png(10_000, 5_000), "10000×5000, more than the 40,000,000 pixels"),
        ("hollow.png", hostile_png(100, 100), "cannot be read"),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "cannot be read"),
    ],
)
def test_damaged_and_hostile_files_are_refused_by_name(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: .*({message})"):
        read_image(path, Framing(SHAPE))


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"photo\.jpg: cannot be read"):
        read_image(path, Framing(SHAPE))


@pytest.mark.parametrize("memory_limit", [1 << 30, 0])
def test_a_few_unreadable_files_are_named_and_left_out(tmp_path, memory_limit):
    write(tmp_path, shapes(200))
    (tmp_path / "0007.png").write_bytes(b"damaged")
    dataset, said = load(tmp_path, memory_limit=memory_limit)
    assert dataset.train.count + dataset.test.count == 199
    assert len(colours(dataset.train)) == dataset.train.count
    assert "0007.png: cannot be read" in said[0]
    assert said[1] == f"{tmp_path}: 1 of 200 image files cannot be read and are left out"


def test_too_many_unreadable_files_stop_the_run(tmp_path):
    write(tmp_path, shapes(99))
    (tmp_path / "damaged.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"1 of 100 image files cannot be read .* below 1%"):
        load(tmp_path)


def test_strict_stops_at_the_first_unreadable_file(tmp_path):
    write(tmp_path, shapes(200))
    (tmp_path / "0007.png").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"0007\.png: cannot be read"):
        load(tmp_path, strict=True)


@pytest.mark.parametrize("cached", [False, True])
def test_a_streamed_folder_gives_the_same_batches_as_one_in_memory(tmp_path, cached):
    for name in ("a", "b"):
        write(tmp_path / "images" / name, shapes(15, ord(name)))
    options = {"cache_dir": tmp_path / "cache"} if cached else {}
    whole, _ = load(tmp_path / "images")
    streamed, _ = load(tmp_path / "images", memory_limit=0, **options)

    assert streamed.describe() == whole.describe()
    for batches in (
        lambda dataset: training_batches(dataset.train, 5, seed=3, first_step=2).take(9),
        lambda dataset: evaluation_batches(dataset.test, 4),
    ):
        for (images, labels), (expected, numbers) in zip(batches(streamed), batches(whole), strict=True):
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels, numbers)


def test_the_cache_spares_decoding_and_notices_changed_files(tmp_path, monkeypatch):
    write(tmp_path / "images", shapes(30))
    cache = tmp_path / "cache"
    first, _ = load(tmp_path / "images", cache_dir=cache)

    monkeypatch.setattr("keras_vae.data.decoding.read_image", None)
    again, _ = load(tmp_path / "images", cache_dir=cache)
    np.testing.assert_array_equal(again.train.images, first.train.images)

    monkeypatch.undo()
    Image.fromarray(np.full((5, 5, 3), 1, np.uint8)).save(tmp_path / "images" / "0000.png")
    os.utime(tmp_path / "images" / "0000.png", (1, 1))
    changed, _ = load(tmp_path / "images", cache_dir=cache)
    assert (1, 1, 1) in colours(changed.train) + colours(changed.test)


def test_the_cache_keeps_bit_depths_apart(tmp_path):
    (tmp_path / "images").mkdir()
    for index in range(4):
        Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(tmp_path / "images" / f"{index}.png")
    found = [
        load_folder(
            tmp_path / "images",
            Framing((8, 8, 1), bit_depth=bit_depth),
            cache_dir=tmp_path / "cache",
            say=lambda line: None,
        )
        for bit_depth in (16, 12)
    ]
    assert [int(dataset.train.images.max()) for dataset in found] == [16, 255]


def test_a_damaged_cache_is_refused_by_name(tmp_path):
    write(tmp_path / "images", shapes(30))
    cache = tmp_path / "cache"
    load(tmp_path / "images", cache_dir=cache)
    for file in cache.glob("*.pixels"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="pixels: ends too early"):
        load(tmp_path / "images", cache_dir=cache)


def test_hidden_files_and_circles_of_links_are_left_out(tmp_path):
    write(tmp_path / "images", shapes(4))
    (tmp_path / "images" / "._0001.png").write_bytes(b"of another system")
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images")
    dataset, said = load(tmp_path / "images")
    assert dataset.train.count + dataset.test.count == 4
    assert said == [f"{tmp_path / 'images'}: 1 file is left out: 1 hidden"]


@pytest.mark.parametrize("images", [0, 1])
def test_a_folder_with_too_few_images_is_refused(tmp_path, images):
    write(tmp_path, shapes(images))
    with pytest.raises(InputError, match=f"has {images} image files .* too few"):
        load(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        load(tmp_path / "nowhere")
