"""Models whose prior is learned: they train it, keep it in their files, and export its draws."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import AT_ONCE, SHAPE, compiled, make_vae, random_images

from keras_vae.config import ModelConfig, RunConfig
from keras_vae.data import ArraySplit, ImageDataset
from keras_vae.errors import InputError
from keras_vae.export.export import export_saved_model
from keras_vae.export.loading import load_exported
from keras_vae.latents import prior_name
from keras_vae.models import VAE
from keras_vae.training import VAETrainer
from keras_vae.training.build import build_trainer
from keras_vae.training.evaluation import evaluation_report
from keras_vae.training.muon import Muon
from keras_vae.training.pseudo_inputs import start_pseudo_inputs

LEARNED = ("vamp", "mixture", "flow")


def pixels(count, seed=0):
    return (255 * random_images(count, seed)).astype(np.uint8)


def with_prior(name, **options):
    keras.utils.set_random_seed(0)
    return make_vae(prior=name, prior_components=3, **options)


@pytest.mark.parametrize("name", LEARNED)
def test_a_step_moves_every_weight_of_the_prior_or_of_its_last_layers(name):
    vae = with_prior(name)
    trainer = compiled(VAETrainer(vae, config=AT_ONCE))
    before = {weight.path: np.array(weight) for weight in vae.prior.trainable_weights}
    trainer.train_on_batch(random_images(16), return_dict=True)
    trainer.train_on_batch(random_images(16), return_dict=True)
    moved = {weight.path for weight in vae.prior.trainable_weights if not np.array_equal(before[weight.path], weight)}
    assert moved == before.keys()


@pytest.mark.parametrize("name", LEARNED)
def test_a_prior_survives_the_keras_file_and_the_average_has_its_own(name, tmp_path):
    vae = with_prior(name)
    for weight in vae.prior.trainable_weights:
        weight.assign_add(0.1 * np.random.default_rng(0).standard_normal(weight.shape))
    trainer = VAETrainer(vae, ema=0.9)
    assert trainer.ema_vae.prior is not vae.prior
    vae.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert prior_name(again.prior) == name
    for copy in (again, trainer.ema_vae):
        np.testing.assert_array_equal(copy.sample(3, seed=1), vae.sample(3, seed=1))
        z = random_images(4)[:, :2, 0, 0]
        np.testing.assert_array_equal(copy.prior.log_prob(z), vae.prior.log_prob(z))


def test_adamw_alone_updates_the_prior():
    config = RunConfig().replace(
        model__prior="flow", model__widths=(8,), model__groups=4, objective__perceptual_weight=0.0,
        objective__adversarial_weight=0.0,
    )  # fmt: skip
    trainer = build_trainer(config, steps_per_epoch=1)
    muon = trainer.optimizer.inner_optimizer
    assert isinstance(muon, Muon)
    assert not any(muon.is_orthogonalized(weight) for weight in trainer.vae.prior.trainable_weights)


def test_the_pseudo_inputs_start_as_training_images():
    vae = with_prior("vamp")
    trainer = VAETrainer(vae, ema=0.9)
    split = ArraySplit(pixels(10))
    start_pseudo_inputs(trainer, split, seed=0)
    expected = (split.images.astype("float32") / 255).clip(0.02, 0.98)
    for model in (vae, trainer.ema_vae):
        distances = np.abs(np.asarray(model.prior.pseudo_inputs)[:, None] - expected).max(axis=(2, 3, 4))
        assert (distances.min(axis=1) < 1e-5).all()
        assert len(set(distances.argmin(axis=1))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variational": False}, "prior flow needs posteriors"),
        ({"latent_shape": (6, 6, 2)}, "prior flow is one of latent vectors"),
        ({"bottleneck": "fsq", "latent_dim": 4}, "prior flow is one of Gaussian latents; with fsq codes leave it out"),
        ({"prior": "vamp", "num_classes": 3}, "prior vamp: its pseudo-inputs have no labels"),
        ({"prior": "vemp"}, "did you mean vamp"),
        ({"prior_components": 0}, "prior-components must be at least 1"),
    ],
)
def test_a_prior_that_a_model_cannot_have_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ModelConfig(**{"prior": "flow", **options})


def test_free_bits_are_refused():
    with pytest.raises(InputError, match=r"free bits need .* the prior N\(0, I\)"):
        VAETrainer(with_prior("flow"), config=AT_ONCE.replace(free_bits=0.1))


def test_the_config_of_a_run_names_the_prior():
    config = ModelConfig(image_shape=SHAPE, widths=(8,), groups=4, prior="mixture", prior_components=5)
    vae = VAE.from_model_config(config)
    assert prior_name(vae.prior) == "mixture"
    assert vae.prior.components == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "vamp", "mixture"])
def test_an_exported_model_draws_from_the_prior_but_has_no_density(name, tmp_path):
    vae = with_prior(name)
    for weight in vae.prior.trainable_weights:
        weight.assign_add(0.3 * np.random.default_rng(0).standard_normal(weight.shape))
    folder = export_saved_model(vae, tmp_path / "model", images=pixels(4), tflite=False)
    assert json.loads((folder / "manifest.json").read_text())["prior"] == name

    exported = load_exported(folder)
    np.testing.assert_allclose(exported.sample(5, seed=3), vae.sample(5, seed=3), atol=1e-5)
    np.testing.assert_allclose(exported.prior.sample(5, seed=3), vae.prior.sample(5, seed=3), atol=1e-5)
    seed = tf.constant([3, 4], tf.int32)
    signature = tf.saved_model.load(str(folder)).signatures["sample"]
    assert not np.array_equal(signature(count=tf.constant(5), seed=seed)["z"], vae.prior.sample(5, seed=3))

    dataset = ImageDataset("noise", "test", ArraySplit(pixels(12, 1)), ArraySplit(pixels(4)))
    with pytest.raises(InputError, match=f"the prior \\({name}\\) of an exported model can be drawn from"):
        evaluation_report(exported, dataset)
