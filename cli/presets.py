"""``keras-vae presets``: the settings to start from."""

from __future__ import annotations

import json
from typing import Any

import click

from keras_vae.config import FINE_TUNING, PRESETS, RunConfig, preset

from .options import json_option
from .runtime import start_tensorflow


@click.command("presets", short_help="List the settings to start from.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the presets: purpose, latent size, parameters, and floating-point operations (FLOPs) per image.

    With NAMEs, show all settings of these presets. The models are built to count their parameters and FLOPs; a preset
    for fine-tuning has none.

    \b
    Examples:
      keras-vae presets
      keras-vae presets faces64
      keras-vae presets --json
    """
    runs = {name: preset(name) for name in names or PRESETS}
    start_tensorflow()
    listed = {}
    for name, run in runs.items():
        about, cost = PRESETS[name][0], _cost_of(run) if name not in FINE_TUNING else {}
        listed[name] = {"about": about, **cost, "config": run.as_dict()}
        if not as_json:
            click.echo(f"{name}: {about}\n  {_cost_line(run, **cost)}")
            if names:
                _show_settings(run)
    if as_json:
        click.echo(json.dumps(listed, indent=2))


def _cost_of(run: RunConfig) -> dict[str, int]:
    from keras_vae.models import VAE
    from keras_vae.training.flops import model_flops

    vae = VAE.from_model_config(run.model)
    encode, decode = model_flops(vae)
    return {"parameters": vae.count_params(), "encode_flops": encode, "decode_flops": decode}


def _cost_line(run: RunConfig, **cost: int) -> str:
    said = ["images " + "×".join(map(str, run.model.image_shape))]
    if cost:  # else it is that of the model to fine-tune
        said += [
            f"latent {run.model.latent}",
            f"{cost['parameters'] / 1e6:.2f} M parameters",
            f"{cost['encode_flops'] / 1e6:,.0f} MFLOPs to encode and {cost['decode_flops'] / 1e6:,.0f} to decode",
        ]
    return ", ".join([*said, f"batch {run.data.batch_size}", f"{run.epochs} epochs"])


def _show_settings(run: RunConfig) -> None:
    for section, settings in run.as_dict().items():
        if isinstance(settings, dict):
            click.echo(f"  {section}: " + ", ".join(f"{key} {_plain(value)}" for key, value in settings.items()))
        elif section != "preset":
            click.echo(f"  {section}: {_plain(settings)}")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "×".join(str(item) for item in value) or "-"
    return "-" if value is None else str(value)
