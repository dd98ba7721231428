"""``keras-vae presets``: the runs to start from."""

from __future__ import annotations

import json

import click

from keras_vae.config import PRESETS

from .options import json_option


@click.command("presets", short_help="List the runs to start from.")
@json_option
def command(as_json: bool) -> None:
    """List the presets, what each is for, and its settings.

    \b
    Examples:
      keras-vae presets
      keras-vae presets --json
    """
    if as_json:
        listed = {name: {"about": about, "config": run.as_dict()} for name, (about, run) in PRESETS.items()}
        click.echo(json.dumps(listed, indent=2))
        return
    for name, (about, run) in PRESETS.items():
        click.echo(f"{name}: {about}")
        for section, settings in run.as_dict().items():
            if isinstance(settings, dict):
                click.echo(f"  {section}: " + ", ".join(f"{key} {_plain(value)}" for key, value in settings.items()))
            elif section != "preset":
                click.echo(f"  {section}: {_plain(settings)}")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "×".join(str(item) for item in value)
    return "-" if value is None else str(value)
