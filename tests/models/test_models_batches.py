"""How many images are decoded at a time."""

import keras
import numpy as np

from keras_vae.models import VAE
from keras_vae.models.batches import decode_in_batches, images_at_a_time

TINY = {"widths": (8, 16), "groups": 4, "num_heads": 1, "mapping_width": 16}


def test_a_batch_has_fewer_of_large_images_and_at_least_one():
    assert images_at_a_time((28, 28, 1)) == 256
    assert images_at_a_time((64, 64, 3)) == 64
    assert images_at_a_time((256, 256, 3)) == 4
    assert images_at_a_time((4096, 4096, 3)) == 1


def test_batches_decode_to_what_is_decoded_at_once(monkeypatch):
    monkeypatch.setattr("keras_vae.models.batches.MOST_IMAGES", 3)
    vae = VAE((8, 8, 1), 2, num_classes=4, **TINY)
    z = np.random.default_rng(0).standard_normal((7, 2), np.float32)
    labels = np.arange(7, dtype=np.int32) % 4

    decoded = decode_in_batches(vae, z, labels)

    expected = keras.ops.convert_to_numpy(vae.decode(z, labels))
    np.testing.assert_allclose(decoded, expected, atol=1e-5)
    assert isinstance(decoded, np.ndarray)
