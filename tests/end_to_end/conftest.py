"""One small run that the tests in this folder share."""

import pytest
from installed_command import SMALL, run_command


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="session")
def trained(workplace):
    """A run of two epochs on the bundled digits; the completed process and the run's directory."""
    done = run_command(
        "train", "--latent", 3, "--dataset", "sample", "--epochs", 2, "--run-dir", "runs/small", *SMALL, cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    return done, workplace / "runs" / "small"
