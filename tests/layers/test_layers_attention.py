"""Self- and cross-attention against plain multi-head attention in NumPy."""

import keras
import numpy as np
import pytest

from keras_vae.layers import CrossAttention2D, SelfAttention2D, attention

rng = np.random.default_rng(0)
FEATURES = rng.normal(size=(2, 3, 4, 8)).astype("float32")
CONTEXT = rng.normal(size=(2, 5, 6)).astype("float32")

# float32 sums of a dozen products of order one
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def dense(layer, tokens):
    kernel, bias = layer.get_weights()
    return tokens.astype("float64") @ kernel + bias


def multi_head_attention(query, key, value, num_heads):
    """One head and one image at a time."""
    attended = np.empty_like(query)
    for image in range(len(query)):
        for head in np.split(np.arange(query.shape[-1]), num_heads):
            scores = query[image][:, head] @ key[image][:, head].T / np.sqrt(len(head))
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            attended[image][:, head] = weights / weights.sum(axis=-1, keepdims=True) @ value[image][:, head]
    return attended


@pytest.mark.parametrize("num_heads", [1, 2, 4])
def test_self_attention_is_multi_head_attention_and_a_residual(group_norm, randomize, num_heads):
    layer = SelfAttention2D(num_heads, groups=4)
    layer.build(FEATURES.shape)
    randomize(layer)

    y = keras.ops.convert_to_numpy(layer(FEATURES))

    tokens = group_norm(FEATURES, 4, *layer.norm.get_weights()).reshape(2, 12, 8)
    query, key, value = np.split(dense(layer.query_key_value, tokens), 3, axis=-1)
    attended = dense(layer.out, multi_head_attention(query, key, value, num_heads))
    np.testing.assert_allclose(y, FEATURES + attended.reshape(FEATURES.shape), **TOLERANCE)


@pytest.mark.parametrize("positions_at_once", [1, 5, 11])
def test_in_chunks_attention_is_the_same(monkeypatch, randomize, positions_at_once):
    layer = SelfAttention2D(2, groups=4)
    layer.build(FEATURES.shape)
    randomize(layer)
    whole = keras.ops.convert_to_numpy(layer(FEATURES))
    monkeypatch.setattr(attention, "MOST_LOGITS", positions_at_once * 12 * 2)

    y = keras.ops.convert_to_numpy(layer(FEATURES))

    # The same sums of a dozen products, perhaps in another order.
    np.testing.assert_allclose(y, whole, rtol=1e-6, atol=1e-6)


def test_in_chunks_attention_has_the_same_gradient(gradients, monkeypatch, randomize):
    layer = SelfAttention2D(2, groups=4)
    layer.build(FEATURES.shape)
    randomize(layer)

    def loss():
        return keras.ops.sum(keras.ops.square(layer(FEATURES)))

    whole = gradients(loss, layer.trainable_variables)
    monkeypatch.setattr(attention, "MOST_LOGITS", 5 * 12 * 2)

    for found, expected in zip(gradients(loss, layer.trainable_variables), whole, strict=True):
        # float32 sums over the positions of both images
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("num_heads", [1, 4])
def test_cross_attention_is_multi_head_attention_to_the_context_and_a_residual(group_norm, randomize, num_heads):
    layer = CrossAttention2D(num_heads, groups=4)
    layer.build(FEATURES.shape, CONTEXT.shape)
    randomize(layer)

    y = keras.ops.convert_to_numpy(layer(FEATURES, CONTEXT))

    query = dense(layer.query, group_norm(FEATURES, 4, *layer.norm.get_weights()).reshape(2, 12, 8))
    key, value = np.split(dense(layer.key_value, CONTEXT), 2, axis=-1)
    attended = dense(layer.out, multi_head_attention(query, key, value, num_heads))
    np.testing.assert_allclose(y, FEATURES + attended.reshape(FEATURES.shape), **TOLERANCE)


def test_without_an_output_projection_only_the_residual_is_left():
    layer = CrossAttention2D(2, groups=4)
    layer.build(FEATURES.shape, CONTEXT.shape)
    for variable in layer.out.trainable_variables:
        variable.assign(np.zeros(variable.shape))

    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(FEATURES, CONTEXT)), FEATURES)


def test_the_order_of_the_context_tokens_does_not_matter(randomize):
    layer = CrossAttention2D(2, groups=4)
    layer.build(FEATURES.shape, CONTEXT.shape)
    randomize(layer)

    difference = keras.ops.convert_to_numpy(layer(FEATURES, CONTEXT) - layer(FEATURES, CONTEXT[:, ::-1]))

    np.testing.assert_allclose(difference, 0.0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3, "groups": 4}, "num_heads=3 does not divide the width 8"),
        ({"num_heads": 2, "groups": 3}, "groups=3 does not divide the width 8"),
    ],
)
def test_numbers_that_do_not_divide_the_width_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=f"SelfAttention2D: {message}"):
        SelfAttention2D(**arguments).build(FEATURES.shape)
    with pytest.raises(ValueError, match=f"CrossAttention2D: {message}"):
        CrossAttention2D(**arguments).build(FEATURES.shape, CONTEXT.shape)
