"""``keras-vae verify``: check that exported versions are unchanged."""

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
    """Check PATH, an exported version or a model's folder with all versions, against the SHA-256 in manifest.json.

    Missing, changed and added files are errors, with exit code 2. The manifest is not signed, so this finds damage
    but not forgery.

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
            click.echo(f"{folder}: unchanged since the export")
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
