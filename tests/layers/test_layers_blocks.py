"""The levels: what they are made of, their shapes, and how a subclass changes them."""

import keras
import numpy as np
import pytest

from keras_vae.layers import CrossAttention2D, DownBlock, GroupNorm, MidBlock, ResidualBlock, SelfAttention2D, UpBlock

rng = np.random.default_rng(0)
FEATURES = rng.normal(size=(2, 6, 5, 8)).astype("float32")
CONTEXT = rng.normal(size=(2, 3, 4)).astype("float32")


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (DownBlock(12, groups=4), (2, 3, 3, 12)),
        (DownBlock(12, downsample=False, groups=4), (2, 6, 5, 12)),
        (MidBlock(12, groups=4), (2, 6, 5, 12)),
        (UpBlock(12, groups=4), (2, 12, 10, 12)),
        (UpBlock(12, upsample=False, groups=4), (2, 6, 5, 12)),
    ],
)
def test_a_level_has_the_shape_that_it_promises(block, shape):
    assert tuple(block(FEATURES).shape) == shape
    assert tuple(block.compute_output_shape(FEATURES.shape)) == shape


@pytest.mark.parametrize("block_class", [DownBlock, MidBlock, UpBlock])
def test_a_level_holds_the_attention_asked_for_after_each_residual_block(block_class):
    block = block_class(8, 2, self_attention=True, cross_attention=True, groups=4)
    plain = block_class(8, 2, groups=4)

    extra = [ResidualBlock] if block_class is MidBlock else []
    assert [type(layer) for layer in block.body] == [ResidualBlock, SelfAttention2D, CrossAttention2D] * 2 + extra
    assert [type(layer) for layer in plain.body] == [ResidualBlock] * 2 + extra


def test_a_level_is_its_layers_one_after_the_other(randomize):
    block = DownBlock(12, self_attention=True, cross_attention=True, groups=4)
    block.build(FEATURES.shape, CONTEXT.shape)
    randomize(block)
    residual, self_attention, cross_attention = block.body

    y = keras.ops.convert_to_numpy(block(FEATURES, CONTEXT))

    expected = block.resampling(cross_attention(self_attention(residual(FEATURES)), CONTEXT))
    np.testing.assert_array_equal(y, keras.ops.convert_to_numpy(expected))


@pytest.mark.parametrize("block_class", [DownBlock, MidBlock, UpBlock])
def test_the_epsilon_of_a_level_is_that_of_all_its_normalisations(block_class):
    block = block_class(8, self_attention=True, cross_attention=True, groups=4, epsilon=1e-3)
    plain = block_class(8, self_attention=True, cross_attention=True, groups=4)

    found = [
        {layer.epsilon for layer in level._flatten_layers() if isinstance(layer, GroupNorm)} for level in (block, plain)
    ]
    assert found == [{1e-3}, {1e-5}]


@pytest.mark.parametrize("block_class", [DownBlock, MidBlock, UpBlock])
def test_missing_context_is_a_clear_error(block_class):
    with pytest.raises(ValueError, match=f"{block_class.__name__}: cross_attention=True needs context tokens"):
        block_class(8, cross_attention=True, groups=4)(FEATURES)


def test_context_is_not_needed_where_nothing_attends_to_it():
    block = UpBlock(8, groups=4)

    difference = block(FEATURES) - block(FEATURES, CONTEXT)

    np.testing.assert_array_equal(keras.ops.convert_to_numpy(difference), 0.0)


@pytest.mark.parametrize("block_class", [DownBlock, MidBlock, UpBlock])
def test_the_dtype_of_a_level_is_that_of_all_its_layers(block_class):
    block = block_class(12, self_attention=True, cross_attention=True, groups=4, dtype="mixed_bfloat16")

    y = block(FEATURES, CONTEXT)

    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert {layer.dtype_policy.name for layer in block._flatten_layers()} == {"mixed_bfloat16"}
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in block.weights} == {"float32"}


class PoolingDownBlock(DownBlock):
    def make_resampling(self):
        return keras.layers.AveragePooling2D(2)


class ConvolutionalMidBlock(MidBlock):
    def make_body(self):
        return [keras.layers.Conv2D(self.filters, 1), *super().make_body()]


class DoublingBlock(keras.layers.Layer):
    """Stands in for a residual block: concatenates its input with itself up to ``filters``."""

    def __init__(self, filters, groups, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def call(self, inputs):
        return keras.ops.concatenate([inputs] * (self.filters // inputs.shape[-1]), axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)


class DoublingUpBlock(UpBlock):
    residual_class = DoublingBlock


def test_a_subclass_may_change_the_resampling():
    block = PoolingDownBlock(8, groups=4)
    features = FEATURES[:, :, :4]

    y = keras.ops.convert_to_numpy(block(features))

    (residual,) = block.body
    unpooled = keras.ops.convert_to_numpy(residual(features))
    # a mean of four in float32
    np.testing.assert_allclose(y, unpooled.reshape(2, 3, 2, 2, 2, 8).mean((2, 4)), atol=1e-5)


def test_a_subclass_may_change_the_body():
    block = ConvolutionalMidBlock(12, groups=4)

    assert block(FEATURES).shape == (2, 6, 5, 12)
    assert block.body[0].kernel.shape == (1, 1, 8, 12)


def test_a_subclass_may_change_the_residual_block():
    block = DoublingUpBlock(16, 2, upsample=False, groups=4)

    y = keras.ops.convert_to_numpy(block(FEATURES))

    np.testing.assert_array_equal(y, np.concatenate([FEATURES, FEATURES], axis=-1))
