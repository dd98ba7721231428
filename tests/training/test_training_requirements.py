"""Installed packages against requirements, with made-up packages whose metadata are in a folder."""

import keras
import pytest

from keras_vae.training import requirements


@pytest.fixture
def install(tmp_path, monkeypatch):
    """``install(name, version, *requirements)`` as pip leaves it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, version, *needed):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in needed]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")

    return write


def test_versions_of_packages_that_are_not_installed_are_unknown(monkeypatch):
    monkeypatch.setattr(requirements, "PACKAGES", ("keras", "surely-not-installed"))
    assert requirements.package_versions() == {"keras": keras.__version__, "surely-not-installed": None}


def test_what_is_as_needed_is_no_problem(install):
    install("whole", "1.0", "part>=2,<3", "other; python_version < '3'", "rare; extra == 'all'")
    install("part", "2.5rc1")
    assert requirements.unmet_requirements("whole") == []


def test_missing_and_wrong_versions_are_named_here_and_one_level_down(install):
    install("whole", "1.0", "part>=3", "missing>=1.2")
    install("part", "2.5", "piece==1")
    install("piece", "2")
    assert requirements.unmet_requirements("whole") == [
        "whole needs part>=3, but 2.5 is installed",
        "whole needs missing>=1.2, which is not installed",
        "part needs piece==1, but 2 is installed",
    ]
