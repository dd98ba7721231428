"""Models whose latents are codes."""

import json

import keras
import numpy as np
import pytest

from keras_vae.config import ModelConfig
from keras_vae.errors import InputError
from keras_vae.latents import FiniteScalarQuantizer, GaussianBottleneck, VectorQuantizer
from keras_vae.models import VAE

VECTOR = {"image_shape": (8, 8, 1), "latent_dim": 4, "widths": (4, 8), "groups": 2, "attention_resolution": 0}
SPATIAL = {**VECTOR, "latent_shape": (2, 2, 4)}
IMAGES = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
BOTTLENECKS = [
    (lambda: VectorQuantizer(16, code_dim=2, seed=0), VECTOR, (2,), 16),
    (lambda: VectorQuantizer(16, seed=0), SPATIAL, (2, 2), 16),
    (lambda: FiniteScalarQuantizer((4, 3)), SPATIAL, (2, 2, 2), 12),
]
every_bottleneck = pytest.mark.parametrize(("make", "shape", "code_shape", "codebook_size"), BOTTLENECKS)


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@every_bottleneck
def test_decoding_the_codes_of_an_image_reconstructs_it(make, shape, code_shape, codebook_size):
    vae = VAE(**shape, bottleneck=make())

    codes = numpy_of(vae.encode_codes(IMAGES))

    assert codes.dtype == "int32"
    assert codes.shape == (3, *code_shape)
    assert 0 <= codes.min() <= codes.max() < codebook_size
    np.testing.assert_array_equal(numpy_of(vae.decode_codes(codes)), numpy_of(vae.reconstruct(IMAGES)))


@pytest.mark.parametrize(
    "bottleneck", [FiniteScalarQuantizer((3, 3)), VectorQuantizer(8, code_dim=2)], ids=["fsq", "vq"]
)
def test_an_image_of_another_size_has_codes_on_its_own_grid(bottleneck):
    small = {"stem_stride": 1, "attention_resolution": 0, "generative_skips": False, "groups": 4}
    vae = VAE((4, 4, 1), latent_shape=(2, 2, 4), widths=(8, 8), bottleneck=bottleneck, **small)
    images = np.random.default_rng(0).random((2, 8, 12, 1), "float32")

    codes = numpy_of(vae.encode_codes(images))
    mean, _ = vae.encode(images)

    assert codes.shape == (2, 4, 6, 2)
    assert numpy_of(vae.reconstruct(images)).shape == images.shape
    # Each 2×2 block of codes is what it would be alone.
    blocks = codes.reshape(2, 2, 2, 3, 2, 2).swapaxes(2, 3).reshape(-1, 2, 2, 2)
    alone = numpy_of(vae.bottleneck.embed(blocks)).reshape(2, 2, 3, 2, 2, 4).swapaxes(2, 3).reshape(2, 4, 6, 4)
    np.testing.assert_array_equal(numpy_of(mean), alone)


@every_bottleneck
def test_samples_come_from_codes(make, shape, code_shape, codebook_size):
    vae = VAE(**shape, bottleneck=make())

    samples = numpy_of(vae.sample(3, seed=1))

    codes = vae.prior.sample(3, seed=1)
    np.testing.assert_array_equal(samples, numpy_of(vae.decode_codes(codes)))


@every_bottleneck
def test_a_model_with_codes_survives_its_keras_file(make, shape, code_shape, codebook_size, tmp_path):
    vae = VAE(**shape, bottleneck=make())
    for weight in vae.bottleneck.weights:
        if weight.name == "usage":
            weight.assign(np.linspace(0, 1, codebook_size))

    vae.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(numpy_of(again.encode_codes(IMAGES)), numpy_of(vae.encode_codes(IMAGES)))
    np.testing.assert_array_equal(numpy_of(again.bottleneck.usage), numpy_of(vae.bottleneck.usage))
    assert json.dumps(again.get_config()) == json.dumps(vae.get_config())


def test_a_description_names_the_bottleneck():
    vq = VAE.from_model_config(ModelConfig(**SPATIAL, bottleneck="vq", codebook_size=32))
    fsq = VAE.from_model_config(ModelConfig(**SPATIAL, bottleneck="fsq", fsq_levels=(5, 5)))

    assert (type(vq.bottleneck), vq.bottleneck.codebook_size) == (VectorQuantizer, 32)
    assert (type(fsq.bottleneck), fsq.bottleneck.codebook_size) == (FiniteScalarQuantizer, 25)
    assert isinstance(VAE.from_model_config(ModelConfig(**SPATIAL)).bottleneck, GaussianBottleneck)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bottleneck": "fsq", "fsq_levels": (8, 5, 5)}, "fsq-levels makes codes of 3 latent channels"),
        ({"bottleneck": "vq", "code_dim": 3}, "code-dim makes codes of 3 latent channels"),
        ({"bottleneck": "vq", "variational": False}, "leave --no-variational out"),
    ],
)
def test_a_latent_that_the_codes_do_not_divide_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**SPATIAL, **options)


def test_a_gaussian_model_has_no_codes():
    vae = VAE(**VECTOR)
    with pytest.raises(InputError, match="GaussianBottleneck has no codes"):
        vae.encode_codes(IMAGES)
    with pytest.raises(InputError, match="GaussianBottleneck has no codes"):
        vae.decode_codes(np.zeros((1, 2), "int32"))


def test_a_bottleneck_beside_variational_false_is_refused():
    with pytest.raises(ValueError, match="leave out one of the two"):
        VAE(**VECTOR, variational=False, bottleneck=GaussianBottleneck())
