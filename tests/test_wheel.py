"""The wheel has every package and every file that is no module, as an editable installation always has."""

import configparser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def options():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_wheel_has_every_package():
    packages = options()["options"]["packages"].split()

    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "keras_vae").rglob("__init__.py")}
    assert sorted(packages) == packages
    assert set(packages) == {*found, "keras_vae_cli"}
    assert not [path for path in (ROOT / "cli").iterdir() if path.is_dir() and path.name != "__pycache__"]


def test_the_wheel_has_every_file_that_is_no_module():
    patterns = [
        ROOT.joinpath(*package.split(".")).glob(pattern)
        for package, listed in options()["options.package_data"].items()
        for pattern in listed.replace(",", " ").split()
    ]
    shipped = {path for found in patterns for path in found}

    files = {path for path in (ROOT / "keras_vae").rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert files - shipped == set()
