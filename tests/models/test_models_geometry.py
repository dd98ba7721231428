"""Padding and cropping: any size goes in and comes back."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_vae.models import Encoder
from keras_vae.models.geometry import Geometry

geometries = st.builds(
    Geometry,
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    levels=st.integers(1, 4),
    stem_stride=st.sampled_from((1, 2)),
)


@settings(max_examples=25, deadline=None)
@given(geometry=geometries)
def test_cropping_what_was_padded_is_the_identity(geometry):
    images = np.random.default_rng(0).random((1, geometry.height, geometry.width, 1)).astype("float32")

    padded = geometry.pad(images)

    assert tuple(padded.shape) == (1, *geometry.padded, 1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(geometry.crop(padded)), images)
    assert float(keras.ops.sum(padded)) == pytest.approx(images.sum(), rel=1e-5)  # what was added is zero


@given(geometry=geometries)
def test_the_padded_sides_are_the_next_multiples_and_each_level_halves_them(geometry):
    for side, padded, *grids in zip(
        (geometry.height, geometry.width),
        geometry.padded,
        *(geometry.grid(level) for level in range(geometry.levels)),
        strict=True,
    ):
        assert side <= padded < side + geometry.factor
        assert padded % geometry.factor == 0
        assert [padded // grid for grid in grids] == [
            geometry.stem_stride * 2**level for level in range(geometry.levels)
        ]
        assert grids[-1] * geometry.factor == padded


def test_a_stem_stride_that_the_decoder_cannot_undo_is_refused(small):
    with pytest.raises(ValueError, match="stem-stride must be one of 1, 2, got 4"):
        Encoder(**{key: small[key] for key in ("image_shape", "widths", "groups")}, stem_stride=4)
