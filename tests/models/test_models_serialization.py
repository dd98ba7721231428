"""Every model comes back from its config and from a ``.keras`` file."""

import json

import keras
import numpy as np
import pytest

import keras_vae.models
from keras_vae.config import PRESETS
from keras_vae.models import (
    VAE,
    AutoencoderKL,
    Decoder,
    Encoder,
    FeatureDiscriminator,
    KLDecoder,
    KLEncoder,
    PatchDiscriminator,
)

small = {"image_shape": (10, 13, 3), "latent_dim": 3, "widths": (4, 8), "groups": 2, "num_heads": 4, "num_layers": 2}
not_default = {
    **small,
    "attention_resolution": 3,
    "num_classes": 3,
    "mapping_layers": 2,
    "mapping_width": 6,
    "bottleneck_width": 5,
}
kl = {
    "image_shape": (10, 13, 3),
    "block_out_channels": (4, 8),
    "layers_per_block": 1,
    "latent_channels": 3,
    "norm_num_groups": 2,
    "mid_block_add_attention": False,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "scaling_factor": 0.5,
    "shift_factor": 0.25,
    "force_upcast": False,
}
feature_shapes = [(10, 12, 6), (5, 6, 8)]
MODELS = [
    (Encoder, {**not_default, "stem_stride": 1}),
    (Decoder, {**not_default, "generative_skips": False, "context_tokens": 3, "output_width": 5}),
    (
        VAE,
        {**not_default, "context_tokens": 3, "variational": False, "likelihood": "laplace", "scale": 0.5, "seed": 7},
    ),
    (VAE, {**small, "num_layers": 1, "dtype": "mixed_bfloat16"}),
    (AutoencoderKL, {**kl, "likelihood": "laplace", "scale": 0.5, "seed": 7}),
    (AutoencoderKL, {"image_shape": (10, 13, 3), "block_out_channels": (4, 8), "norm_num_groups": 2}),
    (KLEncoder, kl),
    (KLDecoder, {**kl, "dtype": "mixed_bfloat16"}),
    (PatchDiscriminator, {"image_shape": (10, 13, 3), "widths": (8, 8, 4), "normalization": "spectral"}),
    (PatchDiscriminator, {"image_shape": (10, 13, 3), "widths": (4, 8), "normalization": "group", "groups": 2}),
    (PatchDiscriminator, {"image_shape": (10, 13, 3), "widths": (4, 8), "normalization": "batch"}),
    (FeatureDiscriminator, {"feature_shapes": feature_shapes, "width": 4}),
]
every_model = pytest.mark.parametrize(("model_class", "arguments"), MODELS)


def outputs_of(model):
    """What the model gives for a fixed input."""
    rng = np.random.default_rng(0)
    if isinstance(model, FeatureDiscriminator):
        return keras.ops.convert_to_numpy(model([rng.random((2, *shape), "float32") for shape in feature_shapes]))
    shape = (model.latent_dim,) if isinstance(model, Decoder | KLDecoder) else small["image_shape"]
    inputs = [rng.random((2, *shape)).astype("float32")]
    if getattr(model, "num_classes", None) is not None:
        inputs.append(np.array([0, 2], "int32"))
    return np.concatenate([keras.ops.convert_to_numpy(part).ravel() for part in keras.tree.flatten(model(*inputs))])


def test_every_public_model_is_in_the_table():
    models = {name for name in keras_vae.models.__all__ if isinstance(getattr(keras_vae.models, name), type)}
    models = {name for name in models if issubclass(getattr(keras_vae.models, name), keras.Model)}
    assert {row[0].__name__ for row in MODELS} == models


@every_model
def test_config_goes_through_json_and_back(model_class, arguments):
    model = model_class(**arguments)
    written = json.dumps(model.get_config())

    again = model_class.from_config(json.loads(written))

    assert again.get_config() == model.get_config()
    given = {name: value for name, value in arguments.items() if name != "dtype"}
    assert {name: again.get_config()[name] for name in given} == given


@every_model
def test_a_saved_model_gives_the_same_outputs(tmp_path, model_class, arguments):
    model = model_class(**arguments)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.rpartition("/")[2] in {"bias", "beta", "gamma", "left", "likelihood_scale", "map_0_mean_square"}:
            weight.assign(rng.normal(1.0, 0.2, weight.shape))  # what an untrained model would not show

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    assert type(again) is model_class
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(outputs_of(again), outputs_of(model))


def test_a_model_from_a_runs_config_has_the_settings_of_the_run():
    config = PRESETS["mnist"][1].model.replace(widths=(8, 16), latent_dim=4, scale=0.25)

    vae = VAE.from_model_config(config, seed=3)

    # The config of a model has no settings of bottlenecks, but its bottleneck.
    settings = {name: value for name, value in config.as_dict().items() if name in vae.get_config()}
    settings["bottleneck"] = None
    assert set(config.as_dict()) - set(settings) == {"codebook_size", "code_dim", "fsq_levels"}
    assert {name: vae.get_config()[name] for name in settings} == settings
    assert float(vae.likelihood_scale.numpy()) == 0.25
