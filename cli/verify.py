"""``keras-vae verify``: whether exported versions are as they were published."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keras_vae.errors import InputError
from keras_vae.export.manifest import NAME, check_manifest
from keras_vae.export.publish import list_versions

from .options import json_option
from .values import FilePath


@click.command("verify", short_help="Check the files of an exported model.")
@click.argument("path", type=FilePath())
@json_option
def command(path: Path, as_json: bool) -> None:
    """Check PATH, an exported version or a model's folder with all its versions, against the SHA-256 in manifest.json.

    A file that is missing, was changed or was added makes it fail, with exit code 2. The manifest is not signed: this
    finds damage, not a forger.

    \b
    Examples:
      keras-vae verify exports/mnist-latent2
      keras-vae verify exports/mnist-latent2/1763800000 --json
    """
    if not path.exists():
        raise InputError(f"{path}: no such folder; verify takes an exported model, such as exports/mnist-latent2")
    folders = [path] if (path / NAME).exists() else [path / str(version) for version in list_versions(path)]
    if not folders:
        raise InputError(f"{path}: is not an exported version (it has no {NAME}) and contains none")
    problems = {folder: _problem(folder) for folder in folders}
    if as_json:
        versions = [{"path": str(folder), "problem": problem} for folder, problem in problems.items()]
        click.echo(json.dumps({"versions": versions}, indent=2))
    else:
        for folder in (folder for folder, problem in problems.items() if problem is None):
            click.echo(f"{folder}: as it was published")
    found = [problem for problem in problems.values() if problem]
    if found:
        others = f" (and {len(found) - 1} more of {len(folders)} versions)" if len(found) > 1 else ""
        raise InputError(found[0] + others)


def _problem(folder: Path) -> str | None:
    try:
        check_manifest(folder)
    except InputError as error:
        return str(error)
    return None
