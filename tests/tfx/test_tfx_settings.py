"""The settings that a Trainer's ``custom_config`` may contain."""

import pytest

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.tfx.settings import run_config


def test_nothing_said_is_the_default_preset():
    assert run_config(None, 100) == run_config({}, 100) == RunConfig()


def test_sections_are_nested_as_in_config_json_or_dotted():
    nested = run_config({"preset": "mnist", "seed": 3, "model": {"latent_dim": 16, "widths": [8, 16]}}, 100)
    dotted = run_config({"preset": "mnist", "seed": 3, "model.latent_dim": 16, "model.widths": (8, 16)}, 100)
    assert nested == dotted
    assert (nested.seed, nested.model.latent_dim, nested.model.widths) == (3, 16, (8, 16))


def test_epochs_count_where_the_trainer_has_no_steps():
    assert run_config({"epochs": 3}, None).epochs == 3


@pytest.mark.parametrize(
    ("custom_config", "words"),
    [
        ({"model": {"latent_dim": 0}}, "custom_config: latent-dim must be at least 1, got 0"),
        ({"model": {"latentdim": 2}}, "unknown setting 'latentdim' of ModelConfig; did you mean latent_dim"),
        ({"modle": {"latent_dim": 2}}, "unknown setting 'modle' of RunConfig; did you mean model"),
        ({"model": 2}, "ModelConfig: expected an object of settings"),
        ({"seed": {"value": 2}}, "seed is not a section"),
        ({"preset": "imagenet"}, "no preset is named 'imagenet'"),
        ({"epochs": 3}, "epochs cannot be set here, num_steps of train_args decides how long to train"),
        (
            {"data": {"dataset": "mnist"}},
            "data.dataset cannot be set here, the pipeline's ExampleGen determines it",
        ),
        ({"data": {"crop": 64}}, "data.crop cannot be set here, the records hold finished images"),
        ({"model.image_shape": (8, 8, 1)}, "model.image_shape cannot be set here, the images determine it"),
        (["latent_dim"], "custom_config must be a dictionary of settings, got"),
    ],
)
def test_a_wrong_setting_is_named(custom_config, words):
    with pytest.raises(InputError) as caught:
        run_config(custom_config, 100)
    assert words in str(caught.value)
