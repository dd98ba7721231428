"""A run that cannot be distributed or split into passes is refused before anything is built."""

import pytest

from keras_vae.config import RunConfig
from keras_vae.errors import InputError
from keras_vae.training.cluster import Cluster
from keras_vae.training.distribution import build_distribution
from keras_vae.training.execution import Execution


@pytest.mark.parametrize(
    ("execution", "replicas", "changes", "says"),
    [
        (Execution(accumulate=3), 1, {}, r"a multiple of 3, the replicas \(1\) times --accumulate \(3\), got 128"),
        (Execution(accumulate=3), 2, {}, "a multiple of 6"),
        (Execution(), 2, {"discriminator__normalization": "batch"}, "batch normalisation"),
        (Execution(accumulate=2), 1, {"discriminator__normalization": "batch"}, "batch normalisation"),
        (Execution(accumulate=2), 1, {"objective__adaptive_weight": True}, "--adaptive-weight"),
        (Execution(), 2, {"jit": "on"}, "--jit on"),
    ],
)
def test_what_needs_a_batch_in_one_piece_is_refused(execution, replicas, changes, says):
    with pytest.raises(InputError, match=says):
        execution.check(RunConfig().replace(**changes), replicas)


def test_one_device_takes_every_description():
    Execution().check(RunConfig().replace(discriminator__normalization="batch", objective__adaptive_weight=True))


def test_several_workers_that_nothing_names_are_refused():
    with pytest.raises(InputError, match="neither TF_CONFIG nor Slurm"):
        build_distribution("multi-worker", Cluster())
