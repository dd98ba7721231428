"""Active units and nearest neighbours on latents made so that the answer is known."""

import numpy as np
import pytest

from keras_vae.errors import InputError
from keras_vae.metrics import active_units, knn_accuracy


def test_active_units_are_the_dimensions_whose_mean_varies_over_the_data():
    # Variances 1, 0.0121, 0.0081 and 0 around means that do not matter.
    means = np.array([[1.0], [-1.0]], "float32") * np.array([1.0, 0.11, 0.09, 0.0], "float32") + 5

    assert active_units(means) == 2
    assert active_units(means, threshold=0.005) == 3
    assert isinstance(active_units(means), int)


def test_knn_accuracy_is_that_of_a_search_through_all_distances():
    rng = np.random.default_rng(0)
    train_labels, test_labels = rng.integers(0, 2, 60), rng.integers(0, 2, 40)
    # Classes that overlap: neither none nor all of the answers are right.
    train_means = rng.standard_normal((60, 3)) + train_labels[:, None]
    test_means = rng.standard_normal((40, 3)) + test_labels[:, None]
    distances = np.square(test_means[:, None] - train_means[None]).sum(axis=2)
    votes = train_labels[np.argsort(distances, axis=1)[:, :5]].sum(axis=1)
    expected = ((votes >= 3) == test_labels).mean()

    accuracy = knn_accuracy(train_means, train_labels, test_means, test_labels)

    assert accuracy == expected
    assert 0.5 < accuracy < 1


def test_more_neighbours_than_training_images_are_refused():
    means, labels = np.zeros((4, 2)), np.zeros(4, int)
    with pytest.raises(InputError, match="5 neighbours need as many training images, got 4"):
        knn_accuracy(means, labels, means, labels)
