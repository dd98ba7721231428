"""A reader changes one level of the decoder by two class attributes, trains an autoencoder with it and saves it."""

import keras
import numpy as np
import pytest

from keras_vae.layers import UpBlock
from keras_vae.models import VAE, Decoder


@keras.saving.register_keras_serializable(package="tests")
class ResizingUpBlock(UpBlock):
    """Doubles the resolution by nearest neighbours and a convolution."""

    def make_resampling(self):
        if not self.upsample:
            return None
        policy = self.dtype_policy
        return keras.Sequential(
            [
                keras.layers.UpSampling2D(2, dtype=policy),
                keras.layers.Conv2D(self.filters, 3, padding="same", dtype=policy),
            ]
        )


@keras.saving.register_keras_serializable(package="tests")
class ResizingDecoder(Decoder):
    up_block_class = ResizingUpBlock


@keras.saving.register_keras_serializable(package="tests")
class ResizingVAE(VAE):
    decoder_class = ResizingDecoder


@pytest.fixture(scope="module")
def digit():
    """A bright square on black, thrice."""
    images = np.zeros((3, 12, 12, 1), "float32")
    images[:, 3:9, 4:8] = 1.0
    return images


@pytest.fixture(scope="module")
def trained(digit):
    """The model and its mean squared error before and after some steps."""
    keras.utils.set_random_seed(0)
    vae = ResizingVAE(
        (12, 12, 1),
        2,
        (8, 16),
        variational=False,
        groups=4,
        attention_resolution=0,
        mapping_layers=0,
        generative_skips=False,
        seed=0,
    )
    # TensorFlow and PyTorch take longer to compile a dozen steps than to run them
    eagerly = keras.backend.backend() != "jax"
    optimizer = keras.optimizers.Adam(0.01)
    vae.compile(optimizer, "mean_squared_error", run_eagerly=eagerly, jit_compile=not eagerly)

    def error():
        return float(np.mean((keras.ops.convert_to_numpy(vae.reconstruct(digit)) - digit) ** 2))

    before, batches = error(), np.tile(digit, (12, 1, 1, 1))
    vae.fit(batches, batches, batch_size=len(digit), verbose=0)
    return vae, before, error()


def test_a_subclass_of_up_block_is_what_the_decoder_is_made_of(trained):
    vae, _, _ = trained

    assert [type(block) for block in vae.decoder.up_blocks] == [ResizingUpBlock] * 2
    assert not any(
        isinstance(layer, keras.layers.Conv2DTranspose) for layer in vae.decoder.up_blocks[0]._flatten_layers()
    )


def test_a_subclass_learns_under_plain_fit(trained, digit):
    _, before, after = trained

    # an untrained model answers grey, which is worse than the best constant image; its error is the variance
    assert after < 0.5 * digit.var() < digit.var() < before


def test_a_subclass_survives_its_keras_file(trained, digit, tmp_path):
    vae, _, _ = trained

    vae.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)

    assert type(again) is ResizingVAE
    assert [type(block) for block in again.decoder.up_blocks] == [ResizingUpBlock] * 2
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(again.reconstruct(digit)), keras.ops.convert_to_numpy(vae.reconstruct(digit))
    )
