"""The answers of one graph are those of the scorer."""

import keras
import numpy as np
import pytest

from keras_vae import VAE
from keras_vae.errors import InputError
from keras_vae.scoring import Scorer, load_scorer
from keras_vae.scoring.answers import answers

numpy_of = keras.ops.convert_to_numpy


@pytest.fixture(scope="module")
def scorer(vae, squares):
    scorer = Scorer(vae, "padim", false_alarms=0.05)
    scorer.run_eagerly = True
    return scorer.fit(squares(30, 0), held_out=squares(99, 1))


@pytest.fixture(scope="module")
def images(squares):
    """Usual images, and some that are more and more unusual, beyond all normal ones."""
    marked = squares(12, 4)
    for row in range(1, 6):
        marked[row, 2 : 2 + 2 * row, 7:9] = 1
    return marked


def test_score_verdict_and_heat_are_those_of_the_scorer(scorer, images):
    found = {name: numpy_of(value) for name, value in answers(scorer, images).items()}

    np.testing.assert_allclose(found["score"], scorer.score(images), atol=1e-4)
    assert list(found["unusual"]) == list(scorer.verdict(images))
    assert 0 < found["unusual"].sum() < 12
    np.testing.assert_allclose(found["heat_map"], scorer.heatmap(images), rtol=1e-3, atol=1e-4)


def test_the_rate_of_false_alarms_is_the_scorers_own(scorer, images):
    assert list(scorer.verdict(images)) == list(scorer.verdict(images, false_alarms=0.05))
    with pytest.raises(InputError, match="must be between 0 and 1, got 1"):
        Scorer(scorer.vae, false_alarms=1)


def test_too_few_normal_images_for_the_rate_are_refused(scorer, vae, squares, images):
    strict = Scorer(vae, "padim", false_alarms=0.001)
    strict.run_eagerly = True
    strict.fit(squares(8, 0), held_out=squares(20, 1))

    with pytest.raises(InputError, match=r"0\.001 false alarms takes at least 999 normal images"):
        answers(strict, images)


def test_a_scorer_moves_to_a_copy_of_its_model_and_to_no_other(scorer, vae, images):
    copy = VAE.from_config(vae.get_config())
    with pytest.raises(InputError, match="was fitted with another model"):
        scorer.on_copy(copy)
    copy.set_weights(vae.get_weights())

    moved = scorer.on_copy(copy)

    assert moved.vae is copy
    assert moved.false_alarms == 0.05
    np.testing.assert_allclose(numpy_of(answers(moved, images)["score"]), scorer.score(images), atol=1e-4)


def test_the_file_of_a_scorer_is_told_from_others(scorer, vae, images, tmp_path):
    scorer.save(tmp_path / "scorer.keras")
    vae.save(tmp_path / "vae.keras")

    again = load_scorer(tmp_path / "scorer.keras")

    assert again.false_alarms == 0.05
    np.testing.assert_allclose(numpy_of(answers(again, images)["score"]), scorer.score(images), atol=1e-4)
    with pytest.raises(InputError, match=r"vae\.keras: holds a VAE, not a scorer; write one with keras-vae score"):
        load_scorer(tmp_path / "vae.keras")
    with pytest.raises(InputError, match=r"no such \.keras file"):
        load_scorer(tmp_path / "none.keras")
