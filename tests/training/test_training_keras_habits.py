"""A trainer works as Keras users expect of a model: data of every kind, callbacks, the progress bar, saving."""

import grain
import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_training import AT_ONCE, EACH_LAYER, compiled, make_trainer, random_images, restored, train_on, values_of

from keras_vae.losses import LPIPS
from keras_vae.models import VAE
from keras_vae.training import Muon, VAETrainer
from keras_vae.training.saving import load_model

IMAGES = random_images(8)
LABELS = np.arange(8, dtype=np.int32) % 3


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return (IMAGES[4 * index : 4 * index + 4],)


def two_batches():
    yield (IMAGES[:4],)
    yield (IMAGES[4:],)


SOURCES = {
    "array": lambda: IMAGES,
    "uint8 array": lambda: (255 * IMAGES).astype(np.uint8),
    "float64 array": lambda: IMAGES.astype(np.float64),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices(IMAGES).batch(4),
    "PyDataset": Batches,
    "generator": two_batches,
    "grain": lambda: grain.MapDataset.source(IMAGES).batch(4).map(lambda images: (images,)),
}


@pytest.fixture(scope="module")
def shared_plain():
    return compiled(make_trainer(perceptual=None, discriminator=False), 1e-3)


@pytest.fixture
def plain(shared_plain):
    """The autoencoder without discriminator or perceptual loss, run eagerly."""
    with restored(shared_plain) as trainer:
        # As if no data had been seen: the first batch is checked once for a trainer.
        trainer._has_checked_batch = False
        yield trainer


@pytest.fixture(scope="module")
def shared_whole():
    return compiled(make_trainer(AT_ONCE.replace(beta_start=9.0, beta_warmup=0.5, beta=0.7), total_steps=100))


@pytest.fixture
def whole(shared_whole):
    """Both players and a perceptual loss, run eagerly; β falls from 9 to 0.7."""
    with restored(shared_whole) as trainer:
        yield trainer


@pytest.fixture(scope="module")
def conditional():
    return compiled(make_trainer(perceptual=None, discriminator=False, num_classes=3), 1e-3)


@pytest.fixture(scope="module")
def shared_graph():
    trainer = make_trainer(perceptual=None, discriminator=False, ema=0.9, variational=False)
    trainer.compile(keras.optimizers.SGD(1e-3), jit_compile=False)
    return trainer


@pytest.fixture
def in_a_graph(shared_graph):
    """A trainer without noise whose step is traced once for all tests: give it `two_batches`."""
    with restored(shared_graph) as trainer:
        yield trainer


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("source", SOURCES)
def test_fit_and_evaluate_take_data_of_every_kind_that_keras_does(plain, source):
    step = int(plain.step)

    history = plain.fit(SOURCES[source](), batch_size=4 if "array" in source else None, verbose=0)
    measured = plain.evaluate(SOURCES[source](), verbose=0, return_dict=True)

    assert int(plain.step) == step + 2
    assert np.isfinite(history.history["loss"]).all()
    expected = plain.vae.reconstruct(IMAGES)
    # uint8 images are truncated to 1/255; a mean over two batches sums in another order.
    assert measured["mse"] == pytest.approx(np.mean((expected - IMAGES) ** 2), rel=2e-2 if "uint8" in source else 1e-5)


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore:`shuffle=True` was passed")
def test_the_end_of_a_data_set_of_unknown_length_is_no_step(in_a_graph):
    in_a_graph.fit(two_batches(), verbose=0)

    assert int(in_a_graph.step) == int(in_a_graph.optimizer.iterations) == 2


def test_images_of_uint8_give_the_metrics_of_the_same_images_between_0_and_1(plain):
    pixels = (255 * IMAGES).astype(np.uint8)

    measured, expected = (
        plain.evaluate(images, verbose=0, return_dict=True) for images in (pixels, pixels.astype(np.float32) / 255)
    )

    assert measured["mse"] == pytest.approx(expected["mse"], rel=1e-6)
    reconstructions = plain.predict(pixels, verbose=0)
    np.testing.assert_allclose(reconstructions, plain.vae.reconstruct(pixels / np.float32(255)), atol=1e-6)


def test_predict_reconstructs_with_the_averaged_weights_and_the_labels():
    trainer = make_trainer(perceptual=None, discriminator=False, ema=0.5, num_classes=3)
    for weight in trainer.ema_vae.trainable_variables:
        weight.assign(weight + 0.1)

    predicted = trainer.predict(tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4), verbose=0)

    expected = trainer.ema_vae.reconstruct(IMAGES, LABELS)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)  # float32


def test_a_second_fit_goes_on_with_the_first(plain):
    step = int(plain.step)

    for _ in range(2):
        plain.fit(IMAGES, batch_size=8, verbose=0)

    assert int(plain.step) == step + 2
    assert int(plain.optimizer.iterations) == int(plain.step)


# Without noise, because XLA draws it by another algorithm.
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize("how", [{"run_eagerly": True}, pytest.param({"jit_compile": True}, marks=pytest.mark.slow)])
def test_a_step_is_the_same_in_a_graph_and_eagerly_or_under_xla(in_a_graph, how):
    other = VAETrainer.from_config(in_a_graph.get_config())
    other.set_weights(in_a_graph.get_weights())
    other.compile(keras.optimizers.SGD(1e-3), **{"jit_compile": False, **how})

    logs, expected = (trainer.fit(two_batches(), verbose=0).history for trainer in (other, in_a_graph))

    for name, values in expected.items():
        # XLA and eager kernels round differently.
        assert logs[name] == pytest.approx(values, rel=1e-4), name


def test_validation_reports_the_objective_without_its_adversarial_part_at_the_final_beta(whole):
    logs = whole.fit(IMAGES[:4], validation_data=(IMAGES,), verbose=0).history

    weights = whole.config
    assert logs["beta"][0] > weights.beta == 0.7
    expected = logs["val_nll"][0] + 0.7 * logs["val_kl"][0] + weights.perceptual_weight * logs["val_lpips"][0]
    assert logs["val_loss"] == pytest.approx([expected], rel=1e-5)  # float32


def test_validation_does_not_punish_free_bits():
    trainer = compiled(make_trainer(AT_ONCE.replace(free_bits=1000.0), perceptual=None, discriminator=False))

    logs = trainer.evaluate(IMAGES, verbose=0, return_dict=True)

    # Neither of the two dimensions reaches 1,000 nats.
    assert logs["loss"] == pytest.approx(logs["nll"] + 2 * 1000.0, rel=1e-5)


@pytest.mark.parametrize(
    ("monitor", "mode"), [("val_loss", "min"), ("val_mse", "min"), ("val_psnr", "max"), ("elbo", "max")]
)
def test_callbacks_know_which_way_a_number_goes(plain, monitor, mode):
    stopping = keras.callbacks.EarlyStopping(monitor, patience=5)

    plain.fit(IMAGES, batch_size=8, validation_data=(IMAGES,), callbacks=[stopping], verbose=0)

    assert stopping.mode == mode
    assert stopping.best is not None


def test_a_direction_that_was_given_is_kept(plain):
    stopping = keras.callbacks.EarlyStopping("val_mse", mode="max")

    plain.fit(IMAGES, batch_size=8, validation_data=(IMAGES,), callbacks=[stopping], verbose=0)

    assert stopping.mode == "max"


def test_early_stopping_brings_the_best_weights_back(plain):
    trainer = plain
    worse = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epoch and trainer.vae.encoder.mean_head.bias.assign_add([50.0, 50.0])
    )
    best = []
    kept = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: best.extend(values_of(trainer.vae.weights)) if epoch == 0 else None
    )
    stopping = keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)

    trainer.fit(IMAGES, epochs=5, validation_data=(IMAGES,), callbacks=[worse, kept, stopping], verbose=0)

    assert stopping.stopped_epoch == 1
    assert all(map(np.array_equal, values_of(trainer.vae.weights), best))


def test_callbacks_of_learning_rates_steer_the_autoencoder_alone(whole):
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=1e9)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.1 if epoch == 0 else rate)

    whole.fit(IMAGES, epochs=2, validation_data=(IMAGES,), callbacks=[plateau, schedule], verbose=0)

    assert float(whole.optimizer.learning_rate) == pytest.approx(1e-2 * 0.1 * 0.5)
    assert float(whole.discriminator_optimizer.learning_rate) == pytest.approx(1e-2)


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_bar_shows_few_numbers_and_the_history_has_all(whole, capsys, verbose):
    history = whole.fit(IMAGES[:6], batch_size=3, epochs=1, validation_data=(IMAGES,), verbose=verbose).history

    shown = capsys.readouterr().out
    last = shown.replace("\r", "\n").replace("\b", "").rstrip().splitlines()[-1]
    names = {part.partition(":")[0].strip() for part in last.split(" - ")[1:] if ":" in part}
    training = {"loss", "elbo", "kl", "mse", "lpips"}
    assert names == training | {f"val_{name}" for name in training}
    assert {"adversarial_weight", "gradient_norm", "val_psnr", "nll"} <= history.keys()


def test_the_bar_of_an_evaluation_shows_few_numbers_too(capsys, plain):
    measured = plain.evaluate(IMAGES, verbose=2, return_dict=True)

    shown = capsys.readouterr().out
    assert "mse:" in shown
    assert "psnr" not in shown
    assert "psnr" in measured


def test_a_bar_of_the_users_own_shows_everything(whole, capsys):
    whole.fit(IMAGES, callbacks=[keras.callbacks.ProgbarLogger()], verbose=2)

    shown = capsys.readouterr().out
    assert shown.count("adversarial_weight") == 1


# Input that cannot be trained on.

USES = {
    "fit": lambda trainer, images: trainer.fit(images, verbose=0),
    "validation": lambda trainer, images: trainer.fit(images, validation_split=0.5, verbose=0),
    "evaluate": lambda trainer, images: trainer.evaluate(images, verbose=0),
    "train_on_batch": lambda trainer, images: trainer.train_on_batch(images),
    "tf.data": lambda trainer, images: trainer.fit(tf.data.Dataset.from_tensor_slices((images,)).batch(4), verbose=0),
}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (255 * IMAGES, r"images must be between 0 and 1, the first batch goes from \S+ to 25\S+; divide by 255"),
        (2 * IMAGES - 1, r"between 0 and 1, the first batch goes from -0\.9"),
        (IMAGES + 0.01, r"between 0 and 1"),
        (np.full_like(IMAGES, np.nan), r"between 0 and 1, the first batch goes from nan to nan"),
        ((255 * IMAGES).astype(np.int32), r"images must be floats in \[0, 1\] or uint8, got int32"),
        (IMAGES[..., 0], r"shape \(N, 12, 12, 1\), got \(\w, 12, 12\)"),
        (IMAGES[:, :8], r"shape \(N, 12, 12, 1\), got \(\w, 8, 12, 1\)"),
        (np.tile(IMAGES, 3), r"shape \(N, 12, 12, 1\), got \(\w, 12, 12, 3\)"),
    ],
    ids=["0 to 255", "-1 to 1", "a little above 1", "NaN", "int32", "rank", "size", "channels"],
)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_other_images_are_refused_in_one_line_before_the_first_step(plain, images, message, use):
    before = values_of(plain.variables)

    with pytest.raises(ValueError, match=message) as error:
        use(plain, images)

    assert "\n" not in str(error.value)
    assert all(map(np.array_equal, values_of(plain.variables), before))


def test_images_outside_of_the_range_are_refused_in_a_graph_with_several_steps_in_one_call():
    trainer = make_trainer(perceptual=None, discriminator=False)
    trainer.compile(keras.optimizers.SGD(1e-3), jit_compile=False, steps_per_execution=2)

    with pytest.raises(ValueError, match="between 0 and 1") as error:
        trainer.fit(255 * IMAGES, batch_size=4, verbose=0)

    assert "\n" not in str(error.value)
    assert int(trainer.step) == 0


def test_rounding_at_the_ends_of_the_range_is_none_of_its_business(plain):
    plain.fit(np.clip(IMAGES, 0, 1) * np.float32(1 + 1e-6), verbose=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "needs labels"),
        (LABELS + 1, r"labels must be 0 to 2, the first batch goes from 1 to 3"),
        (LABELS - 1, r"labels must be 0 to 2, the first batch goes from -1 to 1"),
        (LABELS.astype(np.float32), r"labels must be integers, got float32"),
        (np.eye(3, dtype=np.int32)[LABELS], r"labels must have shape \(\w,\), got \(\w, 3\)"),
    ],
    ids=["none", "above", "below", "floats", "one-hot"],
)
def test_other_labels_are_refused_in_one_line(conditional, labels, message):
    with pytest.raises(ValueError, match=message) as error:
        conditional.fit(IMAGES, labels, verbose=0)

    assert "\n" not in str(error.value)


def test_labels_of_an_unconditional_model_are_ignored_even_where_they_are_the_images(plain):
    plain.fit(IMAGES, IMAGES, verbose=0)


def test_a_data_set_of_dicts_is_refused_with_what_to_ask_tensorflow_datasets_for(plain):
    dicts = tf.data.Dataset.from_tensor_slices({"image": IMAGES, "label": LABELS}).batch(4)

    with pytest.raises(ValueError, match=r"got a dict of image, label; .* give as_supervised=True"):
        plain.fit(dicts, verbose=0)


@pytest.mark.parametrize(
    "use",
    [
        lambda trainer: trainer.fit(IMAGES, LABELS, sample_weight=np.ones(8), verbose=0),
        lambda trainer: trainer.fit(IMAGES, LABELS, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, verbose=0),
        lambda trainer: trainer.fit(IMAGES, LABELS, validation_data=(IMAGES, LABELS, np.ones(8)), verbose=0),
        lambda trainer: trainer.evaluate(IMAGES, LABELS, sample_weight=np.ones(8), verbose=0),
        lambda trainer: trainer.train_on_batch(IMAGES, LABELS, sample_weight=np.ones(8)),
        lambda trainer: trainer.test_on_batch(IMAGES, LABELS, sample_weight=np.ones(8)),
        lambda trainer: trainer.fit(
            tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, np.ones(8))).batch(4), verbose=0
        ),
    ],
    ids=["fit", "class_weight", "validation", "evaluate", "train_on_batch", "test_on_batch", "tf.data"],
)
def test_weights_of_images_are_refused_in_one_line(conditional, use):
    with pytest.raises(ValueError, match=r"sample.weight|class_weight") as error:
        use(conditional)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["loss", "metrics", "weighted_metrics", "loss_weights"])
def test_compile_refuses_what_it_would_ignore(plain, name):
    with pytest.raises(ValueError, match=rf"VAETrainer\.compile takes no {name}: its config weighs"):
        plain.compile("adam", **{name: ["mse"]})


# Saving.


@pytest.fixture(scope="module")
def shared_saved(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("saved") / "trainer.keras"
    config = AT_ONCE.replace(beta=0.7)
    trainer = make_trainer(
        config, perceptual=LPIPS(), ema=0.9, total_steps=50, features=True, latent_dim=3, **EACH_LAYER
    )
    trainer.compile(Muon(1e-3, without_decay=("bias",)), keras.optimizers.Adam(5e-4, beta_1=0.5), run_eagerly=True)
    checkpoint = keras.callbacks.ModelCheckpoint(path, monitor="val_mse", save_best_only=True)
    trainer.fit(IMAGES, batch_size=4, validation_data=(IMAGES,), callbacks=[checkpoint], verbose=0)
    return trainer, path, keras.saving.load_model(path, safe_mode=True)


@pytest.fixture
def saved(shared_saved):
    """A trainer with all its parts after two steps, the file that `ModelCheckpoint` wrote, and what comes back."""
    trainer, path, loaded = shared_saved
    with restored(trainer), restored(loaded):
        yield trainer, path, loaded


def saved_state_of(trainer):
    optimizers = (trainer.optimizer, trainer.discriminator_optimizer)
    return values_of([*trainer.weights, *(variable for optimizer in optimizers for variable in optimizer.variables)])


def test_a_trainer_comes_back_from_a_file_with_both_players_optimizers_and_step(saved):
    trainer, _, loaded = saved

    assert type(loaded) is VAETrainer
    assert int(loaded.step) == 2
    assert loaded.run_eagerly
    assert not loaded.jit_compile
    assert loaded.get_config() == trainer.get_config()
    assert loaded.optimizer.get_config() == trainer.optimizer.get_config()
    assert loaded.optimizer.inner_optimizer.without_decay == ("bias",)
    assert all(map(np.array_equal, saved_state_of(loaded), saved_state_of(trainer)))


def test_a_loaded_trainer_makes_the_step_that_the_saved_one_makes(saved):
    trainer, _, loaded = saved
    for each in (trainer, loaded):
        each.vae.sampling.seed_generator.state.assign([1, 2])

    expected, logs = (train_on(each, IMAGES) for each in (trainer, loaded))

    assert logs == expected
    assert all(map(np.array_equal, saved_state_of(loaded), saved_state_of(trainer)))


def test_the_commands_read_the_averaged_model_from_a_trainers_file(saved):
    trainer, path, _ = saved

    vae = load_model(path)

    assert type(vae) is VAE
    assert vae.latent_dim == 3
    assert all(map(np.array_equal, values_of(vae.weights), values_of(trainer.ema_vae.weights)))


def test_weights_alone_can_be_saved_and_loaded(saved, tmp_path):
    trainer, _, _ = saved
    trainer.save_weights(tmp_path / "trainer.weights.h5")
    other = VAETrainer.from_config(trainer.get_config())

    other.load_weights(tmp_path / "trainer.weights.h5")

    assert all(map(np.array_equal, values_of(other.vae.weights), values_of(trainer.vae.weights)))


def test_a_perceptual_loss_that_keras_does_not_know_is_named_when_a_trainer_is_saved(tmp_path):
    trainer = make_trainer(perceptual=lambda images, reconstructions: 0.0)

    with pytest.raises(ValueError, match=r"perceptual_loss: a lambda .*register_keras_serializable") as error:
        trainer.save(tmp_path / "trainer.keras")

    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
