"""The autoencoder of latent diffusion under the trainer that other models have."""

import keras
import numpy as np
import pytest

from keras_vae.config import ObjectiveConfig
from keras_vae.models import AutoencoderKL, PatchDiscriminator
from keras_vae.training import VAETrainer

SHAPE = (16, 16, 3)


@pytest.fixture
def vae():
    """A small model."""
    keras.utils.set_random_seed(0)
    return AutoencoderKL(SHAPE, block_out_channels=(8, 16), norm_num_groups=4, layers_per_block=1, seed=0)


@pytest.fixture(scope="module")
def images():
    """Smooth images, which can be learnt."""
    ramp = np.linspace(0, 1, 16, dtype="float32")[:, None, None] * np.ones((16, 16, 1), "float32")
    return np.random.default_rng(0).random((16, 1, 1, 3), "float32") * ramp


@pytest.mark.slow
def test_it_learns_with_both_players_and_comes_back_from_a_file(vae, images, tmp_path):
    config = ObjectiveConfig(beta=1e-3, beta_start=1e-3, adversarial_weight=0.1, adaptive_weight=True)
    trainer = VAETrainer(vae, PatchDiscriminator(SHAPE, (8,)), config=config, ema=0.9)
    trainer.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3))

    history = trainer.fit(images, batch_size=8, epochs=4, validation_data=(images,), verbose=0).history

    assert history["mse"][-1] < history["mse"][0]
    assert np.isfinite(history["val_loss"]).all()
    trainer.save(tmp_path / "trainer.keras")
    again = keras.saving.load_model(tmp_path / "trainer.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(again.vae.reconstruct(images)), np.asarray(vae.reconstruct(images)))
    assert float(again.inference_vae.scaling_factor) == float(vae.scaling_factor)


def test_pixels_beyond_the_range_are_pulled_back(vae, images):
    vae.decoder.to_image.bias.assign([20.0, -20.0, 0.0])  # every pixel is out of range, so a clip would stop them
    trainer = VAETrainer(vae, config=ObjectiveConfig(beta=0, beta_start=0))
    trainer.compile(keras.optimizers.SGD(1e-4), run_eagerly=True)

    trainer.fit(images, batch_size=16, epochs=1, verbose=0)

    assert vae.decoder.to_image.bias.numpy()[0] < 20
    assert vae.decoder.to_image.bias.numpy()[1] > -20
