"""The IDX reader reads good files, and refuses bad ones with one clear error."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_vae.data import load_dataset
from keras_vae.data.idx import read_idx
from keras_vae.errors import InputError

LIMIT = 1 << 32


def idx_bytes(array):
    """The format by hand: two zero bytes, type, dimensions, sizes, then the bytes."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 4), dtype=np.uint8)


def array_or_message(path):
    try:
        return read_idx(path, 3, LIMIT)
    except InputError as error:
        return str(error)


def is_array_or_names(outcome, path):
    """Whether a file was read as an array of images, or refused in one line with its name."""
    if isinstance(outcome, np.ndarray):
        return outcome.dtype == np.uint8 and outcome.ndim == 3
    return str(path) in outcome and "\n" not in outcome


def write_standard_files(folder, *, mark="-", zipped=False, labels=True):
    parts = {f"train-images{mark}idx3-ubyte": images(12), f"t10k-images{mark}idx3-ubyte": images(4, seed=1)}
    if labels:
        parts[f"train-labels{mark}idx1-ubyte"] = np.arange(12) % 3
        parts[f"t10k-labels{mark}idx1-ubyte"] = np.arange(4) % 3
    for name, array in parts.items():
        data = idx_bytes(array)
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data) if zipped else data)


@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_standard_files_are_read_back_exactly(tmp_path, mark, zipped):
    write_standard_files(tmp_path, mark=mark, zipped=zipped)

    dataset = load_dataset(f"idx:{tmp_path}")

    np.testing.assert_array_equal(dataset.train.images, images(12)[..., None])
    np.testing.assert_array_equal(dataset.test.images, images(4, seed=1)[..., None])
    np.testing.assert_array_equal(dataset.train.labels, np.arange(12) % 3)
    assert (dataset.source, dataset.name, dataset.image_shape) == ("idx", tmp_path.name, (5, 4, 1))
    assert (dataset.class_names, dataset.num_classes) == (("0", "1", "2"), 3)


def test_labels_are_optional(tmp_path):
    write_standard_files(tmp_path, labels=False)

    dataset = load_dataset(f"idx:{tmp_path}")

    assert dataset.train.labels is None
    assert dataset.class_names is None


def test_a_directory_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such directory"):
        load_dataset(f"idx:{tmp_path}/nowhere")


def test_idx_without_a_directory_says_how_to_give_one():
    with pytest.raises(InputError, match="idx:DIR"):
        load_dataset("idx:")


def test_a_missing_images_file_is_named(tmp_path):
    write_standard_files(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(InputError, match="has no t10k-images-idx3-ubyte"):
        load_dataset(f"idx:{tmp_path}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends within its header"),
        (idx_bytes(images(12))[:10], "ends within its header"),
        (idx_bytes(images(12))[:-1], "holds fewer than the 240 bytes"),
        (idx_bytes(images(12)) + b"\0", "holds more than the 240 bytes"),
        (b"\0\0\x0d\x03" + idx_bytes(images(12))[4:], "magic number 0x00000d03, expected 0x00000803"),
        (idx_bytes(np.arange(12)) + bytes(20), "magic number 0x00000801, expected 0x00000803"),
        (b"\x01" + idx_bytes(images(12))[1:], "magic number 0x01000803"),
        (idx_bytes(images(0)), "holds no images"),
        (idx_bytes(np.zeros((12, 0, 4))), "holds no images"),
        (gzip.compress(idx_bytes(images(12)))[:-12], "cannot be read"),
        (gzip.compress(idx_bytes(images(12))) + b"trailing", "cannot be read"),
        (gzip.compress(idx_bytes(images(12)))[:-6] + b"\0\0\0\0\0\0", "cannot be read"),
        (b"\x1f\x8bnonsense that only starts like gzip", "cannot be read"),
        (idx_bytes(images(11)), "has 12 labels for 11 images"),
    ],
)
def test_a_bad_images_file_gives_one_line_that_names_it(tmp_path, content, message):
    write_standard_files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)

    with pytest.raises(InputError, match=message) as caught:
        load_dataset(f"idx:{tmp_path}")

    assert "train-images-idx3-ubyte" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("sizes", [(2**32 - 1, 2**32 - 1, 2**32 - 1), (1000, 1000, 2000)])
def test_an_absurd_header_is_refused_without_allocating_what_it_claims(tmp_path, zipped, sizes):
    content = b"\0\0\x08\x03" + struct.pack(">III", *sizes) + bytes(1000)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)

    tracemalloc.start()
    with pytest.raises(InputError, match=path.name):
        read_idx(path, 3, LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 8 << 20  # a few chunks of 1 MiB


def test_a_gzip_bomb_beyond_the_memory_limit_is_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((1000, 100, 100)))))
    with pytest.raises(InputError, match="more than the memory limit of 9999999"):
        read_idx(path, 3, 9_999_999)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_read_or_refused_but_nothing_else_happens(tmp_path, data):
    original = idx_bytes(images(12))
    content = bytearray(gzip.compress(original) if data.draw(st.booleans(), "zipped") else original)
    # Half of the damage goes to the header, where it does most.
    positions = st.one_of(st.integers(0, 31), st.integers(0, len(content) - 1))
    for position, bit in data.draw(st.lists(st.tuples(positions, st.integers(0, 7)), max_size=4), "flips"):
        content[position] ^= 1 << bit
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))), "length")]
    path = tmp_path / "damaged"
    path.write_bytes(content)

    tracemalloc.start()
    outcome = array_or_message(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert is_array_or_names(outcome, path)
    assert peak < 8 << 20


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=64), head=st.sampled_from([b"", b"\0\0\x08\x03", b"\x1f\x8b\x08\0"]))
def test_arbitrary_bytes_are_read_or_refused_but_nothing_else_happens(tmp_path, content, head):
    path = tmp_path / "arbitrary"
    path.write_bytes(head + content)
    assert is_array_or_names(array_or_message(path), path)
