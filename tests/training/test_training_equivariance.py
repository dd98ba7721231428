"""EQ-VAE's regulariser against its definition, and what models cannot have it."""

import keras
import numpy as np
import pytest
from tiny_training import AT_ONCE, absolute_distance, compiled, train_on

from keras_vae.config import ObjectiveConfig
from keras_vae.errors import InputError
from keras_vae.models import VAE, AutoencoderKL
from keras_vae.training import VAETrainer
from keras_vae.training.objective import halved_and_turned

OPTIONS = {"latent_shape": (4, 4, 2), "widths": (8,), "groups": 4, "attention_resolution": 0, "scale": 0.5}
CONFIG = AT_ONCE.replace(equivariance_weight=0.5, perceptual_weight=3.0, perceptual_fraction=1.0)


def make_vae(shape=(8, 8, 1), **options):
    keras.utils.set_random_seed(0)
    return VAE(shape, **{**OPTIONS, **options})


def images(count=4, shape=(8, 8, 1)):
    return np.random.default_rng(0).random((count, *shape), "float32")


def expected_turn(maps, turns):
    """By NumPy: means of 2×2, then quarter turns from the first axis to the second."""
    count, height, width, channels = maps.shape
    halved = maps.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))
    return np.rot90(halved, turns, (1, 2))


@pytest.mark.parametrize("turns", range(4))
def test_square_maps_are_halved_and_turned_by_quarters(turns):
    maps = images(shape=(6, 6, 2))
    np.testing.assert_allclose(halved_and_turned(maps, turns), expected_turn(maps, turns), rtol=1e-6)


@pytest.mark.parametrize("turns", range(3))
def test_other_maps_are_turned_by_halves(turns):
    maps = images(shape=(4, 6, 2))
    np.testing.assert_allclose(halved_and_turned(maps, turns), expected_turn(maps, 2 * (turns % 2)), rtol=1e-6)


def test_every_step_has_the_next_turn_and_the_loss_has_its_share():
    vae = make_vae(variational=False)
    trainer = VAETrainer(vae, perceptual_loss=absolute_distance, config=CONFIG)
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    batch = images()
    z = np.asarray(vae.encode(batch)[0])
    for step in range(5):
        trainer.reset_metrics()
        logs = train_on(trainer, batch)
        turned = expected_turn(batch, step)
        errors = turned - np.asarray(vae.decode(expected_turn(z, step).copy()))
        # A Gaussian of deviation 0.5 over four times the pixels, and the distance times its weight.
        nll = np.sum(errors**2 / (2 * 0.5**2) + 0.5 * np.log(2 * np.pi * 0.5**2), (1, 2, 3)).mean()
        expected = 4 * nll + 3.0 * np.abs(errors).mean()
        assert logs["equivariance"] == pytest.approx(expected, rel=1e-4)
        rest = logs["nll"] + 3.0 * logs["lpips"] + CONFIG.beta * logs["kl"]
        assert logs["loss"] == pytest.approx(rest + 0.5 * logs["equivariance"], rel=1e-4)


@pytest.mark.slow
def test_training_makes_the_latents_of_a_conditional_model_more_equivariant():
    batch, labels = images(8), np.arange(8) % 3
    found = {}
    for weight in (0.0, 10.0):
        vae = make_vae(variational=False, num_classes=3)
        config = ObjectiveConfig(beta=0, beta_start=0, equivariance_weight=weight)
        trainer = VAETrainer(vae, config=config)
        trainer.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
        for _ in range(12):
            train_on(trainer, batch, labels)
        z = np.asarray(vae.encode(batch, labels)[0])
        errors = [
            expected_turn(batch, turns) - np.asarray(vae.decode(expected_turn(z, turns).copy(), labels))
            for turns in range(4)
        ]
        found[weight] = np.square(errors).mean()
    assert found[10.0] < 0.9 * found[0.0]


@pytest.mark.parametrize(
    ("config", "accumulate"),
    [(CONFIG.replace(importance_samples_train=2), 1), (CONFIG, 2)],
    ids=["with several draws", "in passes"],
)
def test_it_goes_with_several_draws_and_with_passes(config, accumulate):
    trainer = VAETrainer(make_vae(), perceptual_loss=absolute_distance, config=config, accumulate=accumulate)
    logs = train_on(compiled(trainer), images())
    assert np.isfinite(logs["equivariance"])


def test_an_autoencoder_of_latent_diffusion_can_have_it():
    vae = AutoencoderKL((16, 16, 3), block_out_channels=(4, 8), norm_num_groups=4, layers_per_block=1)
    trainer = VAETrainer(vae, config=CONFIG)
    assert np.isfinite(train_on(compiled(trainer), images(2, (16, 16, 3)))["equivariance"])


@pytest.mark.parametrize(
    ("vae", "message"),
    [
        (lambda: VAE((8, 8, 1), widths=(8,), groups=4), "equivariance needs a spatial latent to turn; this one is a"),
        (lambda: make_vae((6, 6, 1), latent_shape=(3, 3, 2)), "sides must be multiples of 4, got 6×6"),
        (lambda: make_vae((7, 8, 1)), "sides must be multiples of 4, got 7×8"),
    ],
)
def test_models_whose_latents_cannot_be_halved_are_refused(vae, message):
    with pytest.raises(InputError, match=message):
        VAETrainer(vae(), config=CONFIG)
