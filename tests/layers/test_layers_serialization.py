"""Every public layer comes back from its config and from a ``.keras`` file."""

import json

import keras
import numpy as np
import pytest

import keras_vae.layers
from keras_vae.layers import (
    CrossAttention2D,
    DownBlock,
    Downsampling2D,
    GaussianSampling,
    GroupNorm,
    MidBlock,
    ResidualBlock,
    SelfAttention2D,
    SpectralConv2D,
    UpBlock,
    Upsampling2D,
)

FEATURES, CONTEXT, LATENT = (6, 6, 8), (3, 4), (2,)
attending = {"self_attention": True, "cross_attention": True, "num_heads": 4, "groups": 2}
LAYERS = [
    (GroupNorm, {"groups": 4, "epsilon": 1e-3}, [FEATURES]),
    (ResidualBlock, {"filters": 12, "groups": 4, "epsilon": 1e-3, "dtype": "mixed_bfloat16"}, [FEATURES]),
    (SelfAttention2D, {"num_heads": 4, "groups": 2, "epsilon": 1e-3}, [FEATURES]),
    (CrossAttention2D, {"num_heads": 4, "groups": 2}, [FEATURES, CONTEXT]),
    (GaussianSampling, {"seed": 5}, [LATENT, LATENT]),
    (SpectralConv2D, {"filters": 4, "kernel_size": 3, "strides": 2}, [FEATURES]),
    (DownBlock, {"filters": 8, "num_layers": 2, "downsample": False, **attending}, [FEATURES, CONTEXT]),
    (MidBlock, {"filters": 12, "epsilon": 1e-3, **attending}, [FEATURES, CONTEXT]),
    (UpBlock, {"filters": 8, **attending}, [FEATURES, CONTEXT]),
    (Downsampling2D, {"filters": 12}, [FEATURES]),
    (Upsampling2D, {"filters": 12, "dtype": "mixed_bfloat16"}, [FEATURES]),
]
every_layer = pytest.mark.parametrize(
    ("layer_class", "arguments", "shapes"), LAYERS, ids=[row[0].__name__ for row in LAYERS]
)


def test_every_public_layer_is_in_the_table():
    priors = {"Prior", "StandardNormal"}  # which are not called
    assert {row[0].__name__ for row in LAYERS} == set(keras_vae.layers.__all__) - priors


@every_layer
def test_config_goes_through_json_and_back(layer_class, arguments, shapes):
    layer = layer_class(**arguments, name="original")
    written = json.dumps(layer.get_config())

    again = layer_class.from_config(json.loads(written))

    assert json.dumps(again.get_config()) == written
    assert {name: getattr(again, name) for name in arguments if name != "dtype"} == {
        name: value for name, value in arguments.items() if name != "dtype"
    }


@every_layer
def test_a_saved_layer_gives_the_same_outputs(tmp_path, layer_class, arguments, shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer_class(**arguments)(*inputs))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.0, 0.5, weight.shape))
    batch = [rng.normal(size=(2, *shape)).astype("float32") for shape in shapes]
    if layer_class is GaussianSampling:
        batch[1][:] = -60.0  # no noise: the draw is the mean

    model.save(tmp_path / "layer.keras")
    again = keras.saving.load_model(tmp_path / "layer.keras", safe_mode=True)

    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    expected, outputs = (keras.ops.convert_to_numpy(keras.ops.cast(m(batch), "float32")) for m in (model, again))
    np.testing.assert_array_equal(outputs, expected)
