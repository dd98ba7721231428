"""Ask the package index whether the dependencies of keras-vae are still maintained, and fail if one is not.

For every dependency, including those of extras: is the installed version withdrawn (yanked), is the project archived,
is its newest release older than two years? pip-audit checks for known vulnerabilities.

Run: python scripts/check_dependencies.py
"""

from __future__ import annotations

import configparser
import json
import os
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
OLD = timedelta(days=730)
# Packages that are known to be unmaintained, and why that is acceptable. Review them before each release.
ACCEPTED = {
    "keras-cv": "an optional extra that nothing else imports; Keras has the successors of its layers",
}


def main() -> int:
    """Print a line per package; returns exit code 1 if one of them is not maintained."""
    bad = 0
    for name in _needed():
        problem = _problem(name, _project(name))
        if problem and name in ACCEPTED:
            print(f"accepted  {name}: {problem}; {ACCEPTED[name]}")
        elif problem:
            bad += 1
            print(f"bad       {name}: {problem}")
        else:
            print(f"good      {name}")
    return min(bad, 1)


def _needed() -> list[str]:
    """The names in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).resolve().parents[1] / "setup.cfg", encoding="utf-8")
    texts = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line for text in texts for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return sorted({canonicalize_name(Requirement(line).name) for line in lines})


def _project(name: str) -> dict[str, Any]:
    """The index's page of a project (PEP 691, with the upload times of PEP 700)."""
    request = urllib.request.Request(f"{INDEX}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _problem(name: str, project: dict[str, Any]) -> str | None:
    status = project.get("project-status", {}).get("status", "active")  # PEP 792
    if status != "active":
        return f"is {status}"
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        installed = None
    yanked = [file for file in project["files"] if file.get("yanked") and _version(file["filename"]) == installed]
    if yanked:
        return f"{installed} was withdrawn ({yanked[0]['yanked']})"
    newest = max(datetime.fromisoformat(file["upload-time"]) for file in project["files"])
    if datetime.now(UTC) - newest > OLD:
        return f"has had no release since {newest:%B %Y}"
    return None


def _version(filename: str) -> str | None:
    try:
        parse = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
        return str(parse(filename)[1])
    except ValueError:  # a file name that predates the rules
        return None


if __name__ == "__main__":
    sys.exit(main())
