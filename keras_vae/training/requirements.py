"""Which packages are installed, and whether they meet keras-vae's requirements."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

# The packages that decide what a run computes.
PACKAGES = ("keras-vae", "keras", "tensorflow", "numpy", "tensorflow-datasets")


def package_versions() -> dict[str, str | None]:
    """Installed version of each package that decides what a run computes; None if it is not installed."""
    return {name: _installed(name) for name in PACKAGES}


def unmet_requirements(package: str = "keras-vae") -> list[str]:
    """One line for each unmet requirement of the package and of the packages that it needs."""
    unmet = list(_unmet(package))
    for requirement in _requirements(package):
        unmet += _unmet(requirement.name)
    return list(dict.fromkeys(unmet))


def _unmet(package: str) -> Iterator[str]:
    for requirement in _requirements(package):
        found = _installed(requirement.name)
        if found is None:
            yield f"{package} needs {requirement.name}{requirement.specifier}, which is not installed"
        elif not requirement.specifier.contains(found, prereleases=True):
            yield f"{package} needs {requirement.name}{requirement.specifier}, but {found} is installed"


def _requirements(package: str) -> list[Requirement]:
    """The package's requirements in this environment, without extras."""
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    requirements = map(Requirement, lines)
    return [found for found in requirements if found.marker is None or found.marker.evaluate({"extra": ""})]


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
