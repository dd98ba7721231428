"""The scorer as a user meets it: fit, score, verdict, heat map, file."""

import keras
import numpy as np
import pytest

from keras_vae import VAE
from keras_vae.config import SCORING_METHODS
from keras_vae.errors import InputError
from keras_vae.scoring import Scorer


# "auto" is the three others together, and `tests/end_to_end` has it.
@pytest.fixture(scope="module", params=[pytest.param("auto", marks=pytest.mark.slow), *SCORING_METHODS[1:]])
def scorer(request, vae, squares):
    return Scorer(vae, request.param).fit(squares(30, 0), held_out=squares(99, 1))


def eager_scorer(vae):
    """Without a graph: to trace one takes seconds, and `scorer` has one."""
    scorer = Scorer(vae, "vae")
    scorer.run_eagerly = True
    return scorer


def with_a_line(images):
    marked = images.copy()
    marked[:, 3:13, 7:9] = 1
    return marked


def test_images_with_a_line_are_unusual_and_others_are_not(scorer, squares):
    fresh = squares(100, 2)

    assert np.median(scorer.score(with_a_line(fresh))) > 0.99
    assert 0.3 < np.median(scorer.score(fresh)) < 0.7
    # The model is untrained, so that it may miss a few by itself.
    assert scorer.verdict(with_a_line(fresh), false_alarms=0.05).mean() > 0.8
    # Three standard errors of 5% of 100 images and of 99 that calibrate.
    assert scorer.verdict(fresh, false_alarms=0.05).mean() < 0.15


def test_heat_is_one_for_normal_images_and_more_on_the_line(scorer, squares):
    images = squares(20, 3)

    usual, heat = scorer.heatmap(images), scorer.heatmap(with_a_line(images))

    assert heat.shape == (20, 16, 16)
    assert usual.min() >= 0
    assert usual.mean() == pytest.approx(1, rel=0.25)
    assert heat[:, 3:13, 7:9].mean() > 1.5 * usual[:, 3:13, 7:9].mean()


def test_a_scorer_comes_back_from_its_file(scorer, squares, tmp_path):
    images = np.concatenate([squares(3, 4), with_a_line(squares(3, 5))])
    scorer.save(tmp_path / "scorer.keras")

    again = keras.saving.load_model(tmp_path / "scorer.keras", safe_mode=True)

    assert again.method == scorer.method
    np.testing.assert_allclose(again.score(images), scorer.score(images), atol=1e-6)
    np.testing.assert_allclose(again.heatmap(images), scorer.heatmap(images), rtol=1e-4, atol=1e-4)


def test_half_of_the_images_calibrate_where_none_are_held_out(vae, squares):
    scorer = eager_scorer(vae).fit(squares(41, 0))

    assert scorer.calibration.normal.shape == (20, len(scorer.measure_names))


def test_uint8_images_count_as_their_255th_part(vae, squares):
    pixels = np.rint(squares(20, 0) * 255).astype(np.uint8)
    scorer = eager_scorer(vae).fit(pixels)

    np.testing.assert_allclose(scorer.score(pixels), scorer.score(pixels.astype("float32") / 255), atol=1e-6)


def test_a_conditional_model_scores_with_labels(squares):
    vae = VAE((16, 16, 1), 2, num_classes=2, widths=(8, 8), groups=4, attention_resolution=0, generative_skips=False)
    images, labels = squares(20, 0), np.arange(20, dtype="int32") % 2
    scorer = eager_scorer(vae).fit(images, labels)

    assert scorer.score(images, labels).shape == (20,)
    assert not np.array_equal(scorer.measure(images, labels), scorer.measure(images, 1 - labels))


def test_a_plain_autoencoder_has_no_terms_of_the_elbo(squares):
    vae = VAE(
        (16, 16, 1), 2, variational=False, widths=(8, 8), groups=4, attention_resolution=0, generative_skips=False
    )

    assert Scorer(vae, "vae").measure_names == ("mse", "lpips", "local", "nll", "neighbours", "mahalanobis", "density")


def test_what_cannot_be_scored_is_refused_in_one_line(vae, squares):
    with pytest.raises(InputError, match="method must be one of auto, vae, padim, patchcore, got 'ssim'"):
        Scorer(vae, "ssim")
    with pytest.raises(
        InputError, match="importance samples are taken with the VAE, which the method padim does not use"
    ):
        Scorer(vae, "padim", importance_samples=3)
    with pytest.raises(InputError, match="at least 4 normal images and 2 held out, got 1 and 1"):
        Scorer(vae).fit(squares(2, 0))
    with pytest.raises(InputError, match="there are no images to score"):
        Scorer(vae).fit(squares(0, 0))
    with pytest.raises(InputError, match="has seen no normal images; call fit first"):
        Scorer(vae).score(squares(2, 0))
    with pytest.raises(InputError, match=r"takes images \(N, 16, 16, 1\), got \(2, 8, 8, 1\)"):
        Scorer(vae).fit(squares(2, 0)[:, ::2, ::2])
