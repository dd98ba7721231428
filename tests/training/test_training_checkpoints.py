"""Resuming from a checkpoint as if training had not stopped, and model files that hold the whole model."""

import shutil

import keras
import numpy as np
import pytest
from tiny_training import (
    ALL_LAYERS,
    FEW_LAYERS,
    SHAPE,
    are_equal,
    compiled,
    make_trainer,
    make_vae,
    random_images,
    restored,
    state_of,
)

from keras_vae.config import RunConfig
from keras_vae.data import ArraySplit, evaluation_batches, training_batches
from keras_vae.errors import InputError
from keras_vae.training import build_trainer
from keras_vae.training.checkpoints import (
    KEPT,
    Position,
    list_checkpoints,
    restore_checkpoint,
    save_checkpoint,
)
from keras_vae.training.saving import load_model, save_model

EPOCHS = 2
# VGG16 is left out, because its only state is its weights file.
CONFIG = RunConfig().replace(
    epochs=EPOCHS,
    model__image_shape=SHAPE,
    model__groups=4,
    **{f"model__{name}": value for name, value in FEW_LAYERS.items()},
    discriminator__widths=(8, 8),
    objective__perceptual_weight=0,
    data__batch_size=4,
)
STEPS = 2
SPLIT = ArraySplit((255 * random_images(STEPS * 4)).astype(np.uint8))


def build(config=CONFIG):
    trainer = build_trainer(config, STEPS)
    trainer.run_eagerly = True
    return trainer


class EveryEpoch(keras.callbacks.Callback):
    """Write a checkpoint after every epoch."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch, logs=None):
        save_checkpoint(self.model, self.folder, Position(epoch + 1))


def fit(trainer, folder=None, first_epoch=0):
    """Train, write a checkpoint to ``folder`` after each epoch, and return the logs of the last."""
    history = trainer.fit(
        training_batches(SPLIT, 4, seed=CONFIG.seed, first_epoch=first_epoch),
        epochs=EPOCHS,
        initial_epoch=first_epoch,
        steps_per_epoch=STEPS,
        validation_data=evaluation_batches(SPLIT, 8),
        callbacks=[EveryEpoch(folder)] if folder else [],
        shuffle=False,
        verbose=0,
    )
    return {name: values[-1] for name, values in history.history.items()}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A trainer after two epochs, the logs of the last, and the folder of the checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    trainer = build()
    logs = fit(trainer, folder)
    return trainer, logs, folder


def test_resume_gives_bit_for_bit_what_an_unbroken_run_gives(unbroken, tmp_path):
    expected, expected_logs, folder = unbroken
    name = "epoch_0001_step_00000"
    shutil.copytree(folder / name, tmp_path / name)
    trainer = build()

    assert restore_checkpoint(trainer, tmp_path, unexpected) == (1, 0)
    logs = fit(trainer, tmp_path, first_epoch=1)

    assert logs == expected_logs
    assert are_equal(state_of(trainer), state_of(expected))
    assert epochs_in(tmp_path) == [1, 2]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(unbroken):
    expected, _, _ = unbroken
    again = build()
    start, other = state_of(again), state_of(build(CONFIG.replace(seed=1)))
    fit(again)

    assert are_equal(state_of(again), state_of(expected))
    assert not are_equal(other, start)


def test_the_newest_checkpoint_is_restored_whole(unbroken):
    expected, _, folder = unbroken
    trainer = build(CONFIG.replace(seed=5))
    assert restore_checkpoint(trainer, folder, unexpected) == (EPOCHS, 0)
    assert are_equal(state_of(trainer), state_of(expected))


@pytest.fixture(scope="module")
def shared_trainer():
    return compiled(make_trainer())


@pytest.fixture
def trainer(shared_trainer):
    """An untrained trainer, to write and read checkpoints of."""
    with restored(shared_trainer) as trainer:
        yield trainer


def test_the_last_three_checkpoints_are_kept_and_the_best(trainer, tmp_path):
    for epoch, elbo in enumerate((1.0, 5.0, 4.0, 3.0, 2.0, None), start=1):
        save_checkpoint(trainer, tmp_path, Position(epoch), elbo=elbo)
    save_checkpoint(trainer, tmp_path, Position(6, 7))

    assert KEPT == 3
    assert [checkpoint.position for checkpoint in list_checkpoints(tmp_path)] == [(2, 0), (5, 0), (6, 0), (6, 7)]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_save_that_fails_leaves_what_was_there_and_nothing_else(trainer, tmp_path, monkeypatch):
    path = save_checkpoint(trainer, tmp_path, Position(1))
    before = (path / "state.npz").read_bytes()

    def write_half(file, **arrays):
        file.write(before[: len(before) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", write_half)
    for epoch in (1, 2):
        with pytest.raises(OSError, match="No space left"):
            save_checkpoint(trainer, tmp_path, Position(epoch))

    assert list(tmp_path.iterdir()) == [path]
    assert (path / "state.npz").read_bytes() == before


def test_other_files_are_no_checkpoints(tmp_path):
    for name in ("epoch_x_step_00000", "epoch_0001", ".ab.epoch_0001_step_00000", "damaged_epoch_0001_step_00000"):
        (tmp_path / name).mkdir()
    (tmp_path / "epoch_0001_step_00000").touch()
    assert list_checkpoints(tmp_path) == []
    assert list_checkpoints(tmp_path / "nowhere") == []


def assert_refused(action, *words):
    with pytest.raises(InputError) as refused:
        action()
    message = str(refused.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def unexpected(line):
    raise AssertionError(line)


def epochs_in(folder):
    return [checkpoint.position.epochs for checkpoint in list_checkpoints(folder)]


def test_without_a_checkpoint_resuming_says_what_to_do(trainer, tmp_path):
    assert_refused(lambda: restore_checkpoint(trainer, tmp_path, unexpected), "no checkpoint", "--overwrite")


@pytest.mark.parametrize("options", [{"widths": (16,)}, {"latent_dim": 3}, {"num_classes": 2}])
def test_a_checkpoint_of_another_model_is_refused_in_one_line(options, trainer, tmp_path):
    save_checkpoint(trainer, tmp_path, Position(1))
    other = compiled(make_trainer(**options))
    assert_refused(lambda: restore_checkpoint(other, tmp_path, unexpected), "epoch_0001", "belongs to another model")
    assert epochs_in(tmp_path) == [1]


DAMAGES = ("empty", "half", "garbage", "zeros inside", "one bit")


@pytest.mark.parametrize("damage", [*DAMAGES, "gone", "checkpoint.json"])
def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(damage, trainer, tmp_path):
    lines = []
    save_checkpoint(trainer, tmp_path, Position(1, 4))
    expected = state_of(trainer)
    trainer.step.assign(9)
    path = save_checkpoint(trainer, tmp_path, Position(2))
    state = path / "state.npz"
    if damage == "gone":
        state.unlink()
    elif damage == "checkpoint.json":
        (path / damage).write_text("{")
    else:
        state.write_bytes(damaged(state.read_bytes(), damage))

    assert restore_checkpoint(trainer, tmp_path, lines.append) == (1, 4)

    assert are_equal(state_of(trainer), expected)
    (line,) = lines
    assert "epoch_0002_step_00000: is damaged" in line
    assert "\n" not in line
    assert epochs_in(tmp_path) == [1]
    assert (tmp_path / "damaged_epoch_0002_step_00000").is_dir()


def test_where_every_checkpoint_is_damaged_nothing_is_loaded(trainer, tmp_path):
    (save_checkpoint(trainer, tmp_path, Position(1)) / "state.npz").write_bytes(b"")
    assert_refused(lambda: restore_checkpoint(trainer, tmp_path, str), "every checkpoint is damaged", "--overwrite")


def damaged(content, how):
    middle = len(content) // 2
    return {
        "empty": b"",
        "half": content[:middle],
        "garbage": b"not a model" * 100,
        # keeps only what makes it look like a file of its kind
        "zeros inside": content[:64] + bytes(len(content) - 128) + content[-64:],
        "one bit": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    }[how]


@pytest.mark.parametrize("options", [ALL_LAYERS, {"num_classes": 3, "likelihood": "laplace"}, {"variational": False}])
def test_a_model_file_gives_the_same_model(options, tmp_path):
    vae, path = make_vae(**options), tmp_path / "model.keras"
    vae.likelihood_scale.assign(0.125)
    labels = np.arange(4, dtype="int32") % 3 if "num_classes" in options else None

    save_model(vae, path)
    loaded = load_model(path)

    assert loaded.get_config() == vae.get_config()
    assert float(loaded.likelihood_scale) == 0.125
    images = random_images()
    assert are_equal([np.asarray(loaded.reconstruct(images, labels))], [np.asarray(vae.reconstruct(images, labels))])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "zeros inside"])
def test_a_damaged_model_file_is_refused_in_one_line(damage, trainer, tmp_path):
    path = tmp_path / "model.keras"
    save_model(trainer.vae, path)
    path.write_bytes(damaged(path.read_bytes(), damage))
    assert_refused(lambda: load_model(path), "model.keras")


def test_a_missing_model_file_is_refused(tmp_path):
    assert_refused(lambda: load_model(tmp_path / "model.keras"), "no such .keras file")
    assert_refused(lambda: load_model(tmp_path), "no such .keras file")


def test_another_kind_of_model_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    assert_refused(lambda: load_model(path), "holds a Sequential, not a VAE")


def test_a_model_file_of_ones_own_class_is_refused_where_the_class_is_unknown(trainer, tmp_path, monkeypatch):
    @keras.saving.register_keras_serializable(package="elsewhere")
    class OwnVAE(type(trainer.vae)):
        pass

    path = tmp_path / "model.keras"
    save_model(OwnVAE.from_config(trainer.vae.get_config()), path)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "elsewhere>OwnVAE")
    assert_refused(lambda: load_model(path), "holds a class of your own, OwnVAE, which the commands do not know")


def test_a_model_file_with_code_in_it_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda inputs: inputs)]).save(path)
    assert_refused(lambda: load_model(path), "cannot be loaded")
