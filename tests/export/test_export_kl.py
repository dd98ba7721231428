"""LiteRT files of an autoencoder of latent diffusion, and of a model with a spatial latent."""

import keras
import numpy as np
import pytest

from keras_vae.export import tflite
from keras_vae.models import VAE, AutoencoderKL

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


@pytest.mark.parametrize(("bound", "expected"), [(1.0, "int8"), (0.0, "int8_weights")])
def test_a_spatial_model_has_int8_weights_only_where_int8_misses_its_bound(bound, expected, tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    options = {"widths": (8, 8), "groups": 4, "attention_resolution": 0, "generative_skips": False}
    vae = VAE((16, 16, 3), latent_shape=(4, 4, 2), **options)
    measure = tflite.BOUNDS["int8"][0]
    monkeypatch.setattr(tflite, "SPATIAL_BOUNDS", {"int8": (measure, bound), "int8_weights": (measure, 0.02)})

    variants = tflite.write_tflite(vae, tmp_path, np.random.default_rng(0).random((4, 16, 16, 3), "float32"))

    assert [(variant.part, variant.precision) for variant in variants] == [("encoder", expected), ("decoder", expected)]
    assert {path.name for path in tmp_path.iterdir()} == {variant.path.name for variant in variants}
