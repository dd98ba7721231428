"""Finished runs to compare."""

import pytest
from made_up_runs import write_run


@pytest.fixture
def make_run(tmp_path):
    """``make_run(name, folder="runs", **what)``: `write_run` below this test's own directory."""
    return lambda name, *, folder="runs", **what: write_run(tmp_path / folder, name, **what)
