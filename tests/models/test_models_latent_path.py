"""The decoder is a function of z and the label alone, and every level of it reads z."""

import keras
import numpy as np
import pytest

from keras_vae.layers import CrossAttention2D
from keras_vae.models import VAE, Decoder

Z = np.array([[-1.0, 0.5], [2.0, -0.3]], "float32")


def numpy_of(tensor):
    return keras.ops.convert_to_numpy(tensor)


def silence(dense):
    """Let a dense layer answer with a constant."""
    dense.kernel.assign(np.zeros(dense.kernel.shape))


def test_two_images_with_the_same_z_have_the_same_reconstruction(small, images):
    vae = VAE(**small)
    silence(vae.encoder.mean_head)
    vae.encoder.mean_head.bias.assign(Z[0])

    first, second = numpy_of(vae.reconstruct(images[:1])), numpy_of(vae.reconstruct(images[1:2]))

    np.testing.assert_array_equal(first, second)


def test_the_image_has_no_gradient_but_through_z(small, images, gradients):
    vae = VAE(**small)
    pixels = keras.Variable(images[:1])

    def brightness():
        return keras.ops.sum(keras.ops.multiply(vae.reconstruct(keras.ops.convert_to_tensor(pixels)), images[1:2]))

    (open_path,) = gradients(brightness, [pixels])
    silence(vae.encoder.mean_head)
    (closed_path,) = gradients(brightness, [pixels])

    assert np.abs(open_path).max() > 0
    np.testing.assert_array_equal(closed_path, 0.0)


def test_encoder_and_decoder_share_no_layer_and_no_weight(conditional_vae):
    parts = (conditional_vae.encoder, conditional_vae.decoder)

    layers = [{id(layer) for layer in part._flatten_layers()} for part in parts]
    weights = [{id(weight) for weight in part.weights} for part in parts]

    assert not layers[0] & layers[1]
    assert not weights[0] & weights[1]


def test_every_level_attends_to_tokens_of_z(vae, gradients):
    levels = [vae.decoder.mid_block, *vae.decoder.up_blocks]
    attentions = [layer for level in levels for layer in level.body if isinstance(layer, CrossAttention2D)]

    found = gradients(
        lambda: keras.ops.sum(keras.ops.square(vae.decode(Z))), [layer.key_value.kernel for layer in attentions]
    )

    assert len(attentions) == len(levels) == 3
    assert all(np.abs(gradient).max() > 0 for gradient in found)


@pytest.mark.parametrize("generative_skips", [True, False])
def test_z_reaches_the_image_past_the_stem_by_generative_skips_alone(small, generative_skips):
    decoder = Decoder(**small, generative_skips=generative_skips)
    silence(decoder.stem)

    first, second = numpy_of(decoder(Z))

    assert (np.abs(first - second).max() > 1e-4) == generative_skips


def test_without_skips_and_labels_nothing_attends_to_context(small):
    decoder = Decoder(**small, generative_skips=False)

    assert not any(isinstance(layer, CrossAttention2D) for layer in decoder._flatten_layers())
    assert decoder(Z).shape == (2, 12, 12, 1)


def test_a_label_is_a_token_beside_those_of_z(small):
    decoder = Decoder(**small, num_classes=3)
    attention = decoder.up_blocks[0].body[-1]
    seen = []
    attention.key_value.call = lambda context, call=attention.key_value.call: (
        seen.append(context.shape) or call(context)
    )

    decoder(Z, np.array([0, 2], "int32"))

    assert [tuple(shape) for shape in seen] == [(2, 2 + 1, 16)]
