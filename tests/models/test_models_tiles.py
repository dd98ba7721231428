"""Tiles of large images: what is joined is the whole, seams are blended, and sizes that do not fit are refused."""

import gc
import weakref
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops

from keras_vae.errors import InputError
from keras_vae.models import VAE, AutoencoderKL
from keras_vae.models.geometry import Geometry
from keras_vae.models.tiles import decode_tiles, encode_tiles

FACTOR = 4


class Pooling:
    """Stands for a model whose latent is the mean of 4×4 pixels, so that tiles can equal the whole exactly."""

    image_shape = (16, 16, 2)

    def __init__(self):
        self.seen = []
        self.encoder = SimpleNamespace(
            is_spatial=True,
            checked_labels=lambda labels, count: labels,
            geometry_of=lambda height, width: Geometry(height, width, levels=3, stem_stride=1),
        )
        self.decoder = SimpleNamespace(checked=lambda z, labels: (z, labels), unflattened=lambda z: z)

    def encode(self, images, labels):
        self.seen.append(images.shape)
        _, height, width, channels = images.shape
        parts = ops.reshape(images, (-1, height // FACTOR, FACTOR, width // FACTOR, FACTOR, channels))
        mean = ops.mean(parts, (2, 4))
        return mean, -mean if labels is None else mean * 0 + ops.cast(labels, mean.dtype)[:, None, None, None]

    def decode(self, z, labels):
        return ops.repeat(ops.repeat(z, FACTOR, 1), FACTOR, 2)


@settings(max_examples=40)
@given(sides=st.tuples(st.integers(1, 60), st.integers(1, 60)), tile=st.integers(1, 9), overlap=st.integers(0, 8))
@example(sides=(32, 32), tile=4, overlap=0)
@example(sides=(33, 47), tile=5, overlap=4)
def test_a_model_without_a_context_gives_the_same_in_tiles(sides, tile, overlap):
    overlap = min(overlap, tile - 1)
    sizes = (tile * FACTOR, overlap * FACTOR)
    images = np.random.default_rng(0).random((2, *sides, 2), "float32")
    vae = Pooling()
    padded = np.asarray(vae.encoder.geometry_of(*sides).pad(images))

    mean, log_var = encode_tiles(vae, images, None, *sizes)

    expected, _ = vae.encode(padded, None)
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    np.testing.assert_allclose(log_var, -expected, atol=1e-6)
    assert max(max(shape[1:3]) for shape in vae.seen[:-1]) <= sizes[0]
    if expected.shape[1:3] != (4, 4):
        np.testing.assert_allclose(decode_tiles(vae, mean, None, *sizes), vae.decode(mean, None), atol=1e-6)


def test_every_image_has_its_own_label():
    labels = np.array([3, 5])
    _, log_var = encode_tiles(Pooling(), np.zeros((2, 24, 24, 2), "float32"), labels, 12, 4)
    np.testing.assert_allclose(log_var, np.broadcast_to(labels[:, None, None, None], (2, 6, 6, 2)), rtol=1e-6)


def small_kl(**options):
    keras.utils.set_random_seed(0)
    options = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1, **options}
    return AutoencoderKL((16, 16, 3), **options)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends have no graph of a tile")
def test_images_of_any_size_share_the_graph_of_their_tiles_which_goes_with_the_model():
    vae, traced = small_kl(), []
    call = vae.encoder.call
    vae.encoder.call = lambda images, labels=None: traced.append(images.shape) or call(images, labels)
    for side in (24, 30, 24):
        vae.encode(np.zeros((1, side, side, 3), "float32"), tile=16, overlap=4)
    assert traced == [(1, 16, 16, 3)]
    vae.encode(np.zeros((1, 24, 24, 3), "float32"), tile=8, overlap=4)
    assert traced == [(1, 16, 16, 3), (1, 8, 8, 3)]

    model = weakref.ref(vae)
    del vae
    gc.collect()

    assert model() is None


def small_vae():
    keras.utils.set_random_seed(0)
    return VAE((16, 16, 3), latent_shape=(4, 4, 2), widths=(8, 8), groups=4, num_heads=2)


def numpy_of(value):
    return keras.ops.convert_to_numpy(value)


@pytest.mark.parametrize("make", [small_kl, small_vae])
def test_a_tile_as_large_as_the_image_is_the_whole(make):
    vae, images = make(), np.random.default_rng(0).random((2, 24, 20, 3), "float32")
    for ours, whole in zip(vae.encode(images, tile=128), vae.encode(images), strict=True):
        np.testing.assert_allclose(ours, numpy_of(whole), atol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(images, tile=128), numpy_of(vae.reconstruct(images)), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(45, 70), (16, 33)])
def test_images_of_any_size_come_back_at_their_own_size_from_tiles(height, width):
    images = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), "uint8")
    vae = small_kl()
    tiled = vae.reconstruct(images, tile=32, overlap=8)
    assert tiled.shape == (1, height, width, 3)
    assert tiled.dtype == np.float32
    assert 0 <= tiled.min() <= tiled.max() <= 1


def test_without_padding_tiles_drop_the_same_remainder():
    vae = small_kl(padding="none")
    images = np.random.default_rng(0).random((1, 45, 71, 3), "float32")
    mean, _ = vae.encode(images, tile=32, overlap=8)
    assert mean.shape == tuple(vae.encode(images)[0].shape) == (1, 22, 35, 4)


def test_away_from_seams_tiles_are_close_to_the_whole():
    """Noise has the same statistics everywhere, so the normalisations of a tile are nearly those of the whole."""
    vae = small_kl(mid_block_add_attention=False)
    images = np.random.default_rng(0).random((1, 128, 128, 3), "float32")
    whole, tiled = numpy_of(vae.encode(images)[0]), vae.encode(images, tile=64, overlap=32)[0]
    spread = whole.std()
    difference = np.abs(whole - tiled)
    # In the middle of the first tile: from latent 12 to 16 no other tile and no border is near.
    assert difference[:, 12:16, 12:16].max() < 0.3 * spread
    assert difference.mean() < 0.1 * spread


@pytest.mark.parametrize(
    ("tile", "overlap", "message"),
    [
        (7, 2, "tile must be a multiple of the 2 pixels of a latent's position, got 7"),
        (8, 3, "overlap must be a multiple of 2 and less than tile, got 3"),
        (8, 8, "overlap must be a multiple of 2 and less than tile, got 8"),
        (0, 0, "tile must be a multiple of the 2 pixels of a latent's position, got 0"),
    ],
)
def test_sizes_that_are_no_multiples_of_a_position_are_refused(tile, overlap, message):
    vae = small_kl()
    for call, argument in ((vae.encode, np.zeros((1, 16, 16, 3))), (vae.decode, np.zeros((1, 8, 8, 4)))):
        with pytest.raises(InputError, match=f"^{message}$"):
            call(argument, tile=tile, overlap=overlap)


def test_a_latent_vector_has_no_tiles(vae):
    with pytest.raises(InputError, match="only a spatial latent has tiles; this one is a vector of"):
        vae.reconstruct(np.zeros((1, *vae.image_shape), "float32"), tile=16)


def test_a_tile_that_the_model_would_crop_is_refused():
    keras.utils.set_random_seed(0)
    vae = AutoencoderKL((15, 15, 3), block_out_channels=(4, 4), norm_num_groups=4, layers_per_block=1)
    with pytest.raises(InputError, match="tile must not be 16: the model crops images of that size"):
        vae.decode(np.zeros((1, 16, 16, 4), "float32"), tile=16, overlap=4)
    assert vae.decode(np.zeros((1, 16, 16, 4), "float32"), tile=18, overlap=4).shape == (1, 32, 32, 3)
    assert vae.decode(np.zeros((1, 8, 8, 4), "float32"), tile=18, overlap=4).shape == (1, 15, 15, 3)
