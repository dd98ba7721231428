"""Use of a codebook against SciPy."""

import numpy as np
import pytest
from scipy.stats import entropy

from keras_vae.errors import InputError
from keras_vae.metrics import code_usage, perplexity


def test_perplexity_is_the_exponential_of_the_entropy():
    counts = np.random.default_rng(0).integers(0, 50, 100)
    assert perplexity(counts) == pytest.approx(np.exp(entropy(counts)))


def test_codes_used_equally_often_have_their_number_as_perplexity():
    assert perplexity([7, 7, 0, 7]) == pytest.approx(3)
    assert perplexity([0, 5]) == 1


def test_usage_is_the_part_of_the_codes_that_occur():
    assert code_usage([7, 1, 0, 7]) == 0.75


@pytest.mark.parametrize("counts", [[0, 0], [-1, 2], [[1, 2]], [], [np.nan, 1]])
def test_counts_that_mean_nothing_are_refused(counts):
    for function in (code_usage, perplexity):
        with pytest.raises(InputError, match="counts must be"):
            function(counts)
