"""Training that starts from a model: what it takes over, what it leaves alone, and what it refuses."""

import keras
import numpy as np
import pytest
from tiny_training import AT_ONCE, are_equal, compiled, make_vae, random_images, train_on, values_of

from keras_vae.config import FINE_TUNING, Architecture, RunConfig, preset
from keras_vae.errors import InputError
from keras_vae.latents import FiniteScalarQuantizer, VectorQuantizer
from keras_vae.models import VAE, AutoencoderKL
from keras_vae.training import VAETrainer
from keras_vae.training.build import build_trainer
from keras_vae.training.fine_tuning import started_from, with_images_checked, with_source

CONFIG = RunConfig(preset="own", from_model="runs/mine", precision="float32").replace(
    objective__perceptual_weight=0, objective__adversarial_weight=0
)
FROZEN = CONFIG.replace(freeze="encoder")
SPATIAL = {"latent_shape": (3, 3, 2), "stem_stride": 2, "widths": (8, 8)}


def make_kl(**options):
    options = {"block_out_channels": (4, 8), "norm_num_groups": 4, "layers_per_block": 1, **options}
    return AutoencoderKL((8, 8, 1), **options)


def described(source, config=CONFIG, **changes):
    return with_images_checked(with_source(config, source).replace(**changes), source)


def trained(vae, steps=3, ema=0.9):
    trainer = compiled(VAETrainer(vae, config=AT_ONCE, ema=ema))
    images = np.random.default_rng(0).random((4, *vae.image_shape), "float32")
    for _ in range(steps):
        train_on(trainer, images)
    return trainer


@pytest.fixture(scope="module")
def vector():
    keras.utils.set_random_seed(0)
    return make_vae(scale=0.3)


def quantised(bottleneck):
    keras.utils.set_random_seed(0)
    return make_vae(bottleneck=bottleneck, **{**SPATIAL, "latent_shape": (3, 3, 4)})


SOURCES = {
    "vector": lambda: make_vae(),
    "flow prior": lambda: make_vae(prior="flow"),
    "spatial": lambda: make_vae(**SPATIAL),
    "vq": lambda: quantised(VectorQuantizer(8, restart=1.0)),
    "fsq": lambda: quantised(FiniteScalarQuantizer((5, 5))),
    "kl": make_kl,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_with_the_encoder_frozen_latents_stay_exactly_as_they_were_and_the_decoder_learns(kind):
    source = SOURCES[kind]()
    images = np.random.default_rng(1).random((3, *source.image_shape), "float32")
    latents, before = source.latents(images)["kl"], [np.array(part) for part in source.encode(images)]
    decoded = np.array(source.reconstruct(images))

    trainer = trained(started_from(source, described(source, FROZEN)))

    for vae in (trainer.vae, trainer.ema_vae):
        assert are_equal([np.array(part) for part in vae.encode(images)], before)
        assert np.abs(np.array(vae.reconstruct(images)) - decoded).max() > 1e-4
        if source.bottleneck.code_shape is not None:
            np.testing.assert_array_equal(vae.latents(images)["kl"], latents)
    trained_weights = {id(weight) for weight in trainer.vae.trainable_variables}
    assert trained_weights == {id(weight) for weight in trainer.vae.decoder.trainable_variables}


def test_without_freezing_all_of_the_model_learns(vector):
    trainer = trained(started_from(vector, described(vector)))
    for part in ("encoder", "decoder"):
        before, after = (values_of(getattr(vae, part).weights) for vae in (vector, trainer.vae))
        assert not are_equal(before, after)


@pytest.mark.parametrize("kind", SOURCES)
def test_weights_and_their_average_start_from_the_source_which_stays_as_it_is(kind):
    source = SOURCES[kind]()
    before = values_of(source.weights)
    trainer = VAETrainer(started_from(source, described(source, model__scale=source.scale)), config=AT_ONCE, ema=0.9)
    assert type(trainer.vae) is type(source)
    for vae in (trainer.vae, trainer.ema_vae):
        assert are_equal(values_of(vae.weights), before)
    assert trainer.vae.trainable_variables
    trained(trainer.vae, steps=1)
    assert are_equal(values_of(source.weights), before)


def test_the_averaged_copy_that_a_run_saves_can_be_trained_again(vector, tmp_path):
    trained(VAE.from_config(vector.get_config()), steps=1).inference_vae.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.trainable_variables
    assert trained(started_from(loaded, described(loaded)), steps=1).vae.trainable_variables


def test_likelihood_and_scale_are_those_of_the_run(vector):
    vae = started_from(vector, described(vector, model__likelihood="laplace", model__scale=0.5))
    assert (vae.likelihood, float(vae.likelihood_scale)) == ("laplace", 0.5)
    calibrated = started_from(vector, described(vector))
    assert calibrated.scale is None
    assert float(calibrated.likelihood_scale) == pytest.approx(0.3)


def test_the_run_is_described_by_the_architecture_of_the_source():
    source = quantised(VectorQuantizer(8, 2))
    config = described(source)
    assert Architecture.taken_from(config.model.as_dict())[0] == source.decoder.architecture
    assert (config.model.bottleneck, config.model.codebook_size, config.model.code_dim) == ("vq", 8, 2)
    # The same model, but for its weights.
    rebuilt = VAE.from_model_config(config.model)
    assert [weight.shape for weight in rebuilt.weights] == [weight.shape for weight in source.weights]
    assert described(quantised(FiniteScalarQuantizer((5, 5)))).model.fsq_levels == (5, 5)
    assert not described(make_vae(variational=False)).model.variational
    assert described(make_vae(prior="flow")).model.prior == "flow"
    assert described(make_kl()).model.latent_shape == (4, 4, 4)


@pytest.mark.parametrize("kind", ["spatial", "kl"])
def test_a_spatial_model_is_trained_on_images_of_another_size(kind):
    source = SOURCES[kind]()
    shape = (16, 20, 1)
    config = described(source, model__image_shape=shape)
    trainer = trained(started_from(source, config), steps=1)
    assert trainer.vae.image_shape == shape
    assert trainer.vae.latent_shape == config.model.latent_shape
    assert config.model.latent_shape[:2] != source.latent_shape[:2]


def test_precision_is_that_of_the_run_and_not_of_the_file(vector):
    trainer = build_trainer(described(vector).replace(precision="mixed_bfloat16"), 2, source=vector)
    assert trainer.vae.decoder.compute_dtype == "bfloat16"
    assert vector.decoder.compute_dtype == "float32"


def test_the_same_description_and_source_give_the_same_weights(vector):
    images = random_images(8)
    found = []
    for _ in range(2):
        trainer = build_trainer(described(vector).replace(epochs=1), 2, source=vector)
        trainer.run_eagerly = True
        trainer.fit(images, batch_size=4, verbose=0, shuffle=False)
        found.append(values_of(trainer.vae.weights))
    assert are_equal(*found)


@pytest.mark.parametrize(
    ("config", "source", "message"),
    [
        (CONFIG.replace(data__conditional=True), "vector", "is not conditional, so leave --conditional out"),
        (preset("kl-mse").replace(from_model="runs/mine"), "vector", "preset kl-mse is for an AutoencoderKL, which"),
        (CONFIG.replace(model__image_shape=(12, 12, 3)), "kl", "takes images with 1 channels, these have 3; use --cha"),
        (CONFIG.replace(model__image_shape=(16, 12, 1)), "vector", "takes images of 12×12, these have 16×12; use --im"),
        (CONFIG.replace(model__num_classes=3), "vector", "has no classes, the data 3"),
    ],
)
def test_what_does_not_fit_the_source_is_refused(config, source, message):
    made = SOURCES[source]()
    changes = {f"model__{name}": getattr(config.model, name) for name in ("image_shape", "num_classes")}
    with pytest.raises(InputError, match=f"^runs/mine: .*{message}"):
        described(made, config, **changes)


def test_a_prior_that_was_fitted_afterwards_stays_with_a_frozen_encoder_alone():
    source = make_vae(**SPATIAL, prior="latent-flow")
    with pytest.raises(InputError, match="its prior latent-flow was fitted to latents that training would"):
        described(source)
    before = values_of(source.prior.weights)
    trainer = trained(started_from(source, described(source, FROZEN)), steps=1)
    assert are_equal(values_of(trainer.vae.prior.weights), before)


def test_the_recipes_weigh_the_parts_as_their_sources_do():
    """Against the sources' sums over pixels in [-1, 1], one image with LPIPS 0.3 and noise of either sign."""
    side, lpips = 256, 0.3
    difference = np.random.default_rng(0).normal(0, 0.1, (side, side, 3))
    mse, gan = (preset(name) for name in FINE_TUNING)
    assert mse.model.image_shape == gan.model.image_shape == (side, side, 3)
    # sd-vae-ft-mse: MSE + 0.1 LPIPS. Ours is the same times a quarter of the number of values.
    theirs = np.mean((2 * difference) ** 2) + 0.1 * lpips
    ours = np.sum(difference**2) / (2 * mse.model.scale**2) + mse.objective.perceptual_weight * lpips
    assert ours == pytest.approx(theirs * difference.size / 4)
    # LPIPSWithDiscriminator: the sum of |d| + LPIPS over all values, and 1e-6 KL.
    theirs = np.sum(np.abs(2 * difference) + lpips)
    ours = np.sum(np.abs(difference)) / gan.model.scale + gan.objective.perceptual_weight * lpips
    assert ours == pytest.approx(theirs)
    assert (gan.objective.beta, gan.objective.adversarial_weight) == (1e-6, 0.5)
