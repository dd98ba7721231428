"""Resizing: TensorFlow treats arrays as Pillow treats files."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_vae.config import DataConfig
from keras_vae.data import load_dataset
from keras_vae.data.framing import Framing
from keras_vae.data.image_file import read_image


def smooth(height, width, channels):
    """Waves with a few periods across the image."""
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    waves = [np.sin(2 * np.pi * (x * (1 + channel) + y + channel / 3)) for channel in range(channels)]
    return np.rint(127.5 + 127.5 * np.stack(waves, -1)).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.sampled_from([1, 3]), st.data())
def test_arrays_and_files_are_framed_alike(tmp_path_factory, size, channels, data):
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), data.draw(st.sampled_from([1, 3])))
    framing = Framing(shape, data.draw(st.sampled_from(["crop", "pad", "stretch"])))
    image = smooth(*size, channels)
    path = tmp_path_factory.mktemp("framed") / "image.png"
    Image.fromarray(image if channels == 3 else image[..., 0]).save(path)

    from_file, from_array = read_image(path, framing), framing.apply(image).numpy()

    assert from_file.shape == from_array.shape == shape
    assert from_file.dtype == from_array.dtype == np.uint8


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(48, 96), (96, 48), (64, 64)])
def test_tensorflow_resizes_as_pillow_does(tmp_path, fit, size):
    image = smooth(*size, 3)
    Image.fromarray(image).save(tmp_path / "image.png")
    framing = Framing((24, 24, 3), fit)
    ours = framing.apply(image[None]).numpy()[0].astype(int)
    assert np.abs(ours - read_image(tmp_path / "image.png", framing)).max() <= 2


def test_what_has_the_shape_already_stays_as_it_is():
    images = smooth(9, 7, 3)[None]
    np.testing.assert_array_equal(Framing((9, 7, 3)).apply(images), images)


def test_any_source_can_be_resized():
    dataset = load_dataset(DataConfig(dataset="sample", image_size=(32, 20), channels=3))
    assert dataset.image_shape == (32, 20, 3)
    images, labels = dataset.test.first(20)
    original, numbers = load_dataset("sample").test.first(20)
    np.testing.assert_array_equal(labels, numbers)
    png = io.BytesIO()
    Image.fromarray(original[3, ..., 0]).save(png, "PNG")
    framed = Image.open(png).convert("RGB").crop((5, 0, 23, 28)).resize((20, 32), Image.Resampling.LANCZOS)
    assert np.abs(images[3].astype(int) - np.asarray(framed)).mean() < 2
