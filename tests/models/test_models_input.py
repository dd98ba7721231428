"""What a model takes: images as floats in [0, 1] or uint8, latents, labels; anything else is refused in one line."""

import keras
import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.models import VAE, FeatureDiscriminator, PatchDiscriminator

LABELS = np.array([0, 2, 1], "int32")
# For what is traced, which takes time by the layer.
FEW_LAYERS = {"attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
MAPS = [np.zeros((1, 6, 6, 4), "float32"), np.zeros((1, 3, 3, 8), "float32")]


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def spatial():
    return VAE((12, 8, 1), latent_shape=(3, 2, 2), widths=(8, 16), groups=4)


@pytest.fixture(scope="module")
def discriminators():
    return PatchDiscriminator((12, 12, 1), (8, 8)), FeatureDiscriminator([each.shape[1:] for each in MAPS], width=4)


def refusal_of(call):
    with pytest.raises(InputError) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("shape", "given"),
    [
        ((12, 12, 1), "(12, 12, 1)"),
        ((3, 12, 12), "(3, 12, 12)"),
        ((3, 12, 12, 3), "(3, 12, 12, 3)"),
        ((3, 30, 30, 1), "(3, 30, 30, 1)"),
    ],
)
@pytest.mark.parametrize("method", ["encode", "reconstruct", "__call__"])
def test_images_of_another_shape_are_refused_with_the_expected_and_the_given_one(vae, method, shape, given):
    message = refusal_of(lambda: getattr(vae, method)(np.zeros(shape, "float32")))

    assert message == f"Encoder: images must have shape (N, 12, 12, 1), got {given}"


def test_a_spatial_model_takes_images_of_any_size_but_its_own_channels(spatial):
    message = refusal_of(lambda: spatial(np.zeros((2, 12, 8, 3), "float32")))

    assert message == "Encoder: images must have shape (N, H, W, 1), got (2, 12, 8, 3)"
    assert spatial(np.zeros((1, 8, 16, 1), "float32")).shape == (1, 8, 16, 1)


def test_a_wrong_shape_is_refused_as_clearly_while_a_step_is_traced(small):
    vae = VAE(**small, **FEW_LAYERS)  # of its own: on JAX, Keras loses the weights of a model whose predict() fails
    # after a batch of the right shape, for which TensorFlow relaxes the shape it traces
    vae.predict(np.zeros((2, 12, 12, 1), "float32"), verbose=0)

    message = refusal_of(lambda: vae.predict(np.zeros((2, 12, 12), "float32"), verbose=0))

    assert message.startswith("Encoder: images must have shape (N, 12, 12, 1), got ")


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_images_that_are_neither_floats_nor_uint8_are_refused(vae, dtype):
    for call in (vae, vae.encode, vae.reconstruct):
        message = refusal_of(lambda call=call: call(np.zeros((1, 12, 12, 1), dtype)))
        assert message == f"Encoder: images must be floats in [0, 1] or uint8, got {dtype}"


def test_what_is_no_array_is_refused_by_its_type(vae):
    assert (
        refusal_of(lambda: vae.encode([[0.5]])) == "Encoder: images must be an array of shape (N, 12, 12, 1), got list"
    )
    assert refusal_of(lambda: vae.decode(None)) == "Decoder: z must be an array of shape (N, 2), got NoneType"


def test_uint8_images_count_as_their_255th_part(small, vae, discriminators):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1), "uint8")
    images = pixels.astype("float32") / 255
    models = (vae, vae.reconstruct, lambda batch: vae.encode(batch)[0], discriminators[0])

    for model in models:
        np.testing.assert_allclose(numpy_of(model(pixels)), numpy_of(model(images)), atol=1e-6)
    for model in (VAE(**small, **FEW_LAYERS), discriminators[0]):
        np.testing.assert_allclose(model.predict(pixels, verbose=0), model.predict(images, verbose=0), atol=1e-5)


def test_a_functional_model_of_uint8_inputs_scales_them_too(vae):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1), "uint8")
    inputs = keras.Input((12, 12, 1), dtype="uint8")

    found = keras.Model(inputs, vae(inputs))(pixels)

    np.testing.assert_allclose(numpy_of(found), numpy_of(vae(pixels)), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 5), "z must have shape (N, 2), got (3, 5)"),
        ((2,), "z must have shape (N, 2), got (2,)"),
    ],
)
def test_latents_of_another_size_are_refused(vae, shape, message):
    assert refusal_of(lambda: vae.decode(np.zeros(shape, "float32"))) == f"Decoder: {message}"


def test_spatial_latents_are_maps_of_the_models_channels_or_flat(spatial):
    message = refusal_of(lambda: spatial.decode(np.zeros((1, 3, 2, 4), "float32")))

    assert message == "Decoder: z must have shape (N, 12) or (N, H, W, 2), got (1, 3, 2, 4)"


def test_whole_numbers_are_latents_too(vae):
    z = np.array([[1, -2]])

    np.testing.assert_array_equal(numpy_of(vae.decode(z)), numpy_of(vae.decode(z.astype("float32"))))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:, None], "labels must have shape (3,), got (3, 1)"),
        (np.eye(3, dtype="int32"), "labels must have shape (3,), got (3, 3)"),
        (LABELS[:2], "labels must have shape (3,), got (2,)"),
        (LABELS.astype("float32"), "labels must be integers, got float32"),
        (LABELS + 1, "labels must be 0 to 2, got 1 to 3"),
        (-LABELS, "labels must be 0 to 2, got -2 to 0"),
        (None, "a model of 3 classes needs labels (N,), got none"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(conditional_vae, images, labels, message):
    assert refusal_of(lambda: conditional_vae.encode(images, labels)) == f"Encoder: {message}"
    assert refusal_of(lambda: conditional_vae(images, labels)) == f"Encoder: {message}"
    z = np.zeros((3, 2), "float32")
    assert refusal_of(lambda: conditional_vae.decode(z, labels)) == f"Decoder: {message}"


def test_labels_may_be_a_list(conditional_vae):
    listed, array = (numpy_of(conditional_vae.sample(3, seed=0, labels=each)) for each in ([0, 2, 1], LABELS))

    np.testing.assert_array_equal(listed, array)


def test_the_discriminators_say_what_they_take(discriminators):
    patch, feature = discriminators

    message = refusal_of(lambda: patch(np.zeros((1, 12, 12, 3), "float32")))
    assert message == "PatchDiscriminator: images must have shape (N, H, W, 1), got (1, 12, 12, 3)"
    message = refusal_of(lambda: feature(MAPS[:1]))
    assert message == ("FeatureDiscriminator: features must have shapes (N, H, W, 4), (N, H, W, 8); got (1, 6, 6, 4)")
    assert feature(MAPS).shape == (1, 45)
