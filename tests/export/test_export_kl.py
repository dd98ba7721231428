"""LiteRT files of an autoencoder of latent diffusion."""

import keras
import numpy as np
import pytest

from keras_vae.export import tflite
from keras_vae.models import AutoencoderKL

pytestmark = pytest.mark.slow


def test_int8_weights_are_a_quarter_of_the_file_and_left_out_if_they_miss_their_bound(tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    vae = AutoencoderKL((16, 16, 3), block_out_channels=(32, 64), norm_num_groups=8, layers_per_block=1)
    images = np.random.default_rng(0).random((4, 16, 16, 3), "float32")
    monkeypatch.setattr(tflite, "KL_BOUNDS", {"int8_weights": (tflite.BOUNDS["int8"][0], 0.02)})

    encoder, decoder = tflite.write_tflite(vae, tmp_path / "kept", images)

    for variant in (encoder, decoder):
        assert variant.precision == "int8_weights"
        assert variant.size < 1.5 * variant.parameters
        assert 0 < variant.difference < 0.02
    monkeypatch.setattr(tflite, "KL_BOUNDS", {"int8_weights": (tflite.BOUNDS["int8"][0], decoder.difference / 2)})
    assert tflite.write_tflite(vae, tmp_path / "left_out", images) == []
    assert not list((tmp_path / "left_out").iterdir())
