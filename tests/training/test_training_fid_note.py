"""What a FID's table says about the number of its images."""

import pytest

from keras_vae.training.fid_note import fid_note


@pytest.mark.parametrize(
    ("images", "note"),
    [
        (5000, "5,000 images each; published FIDs usually take 50,000"),
        (2049, "2,049 images each; published FIDs usually take 50,000"),
        (2048, "2,048 images each, too few for 2,048 features; published FIDs usually take 50,000"),
        (100, "100 images each, too few for 2,048 features; published FIDs usually take 50,000"),
        (None, "an unknown number of images; published FIDs usually take 50,000"),
    ],
)
def test_the_note_says_how_many_images_and_whether_they_are_too_few(images, note):
    assert fid_note(images) == note
