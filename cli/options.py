"""Options generated from `RunConfig`: one per setting, with its help, type and bounds."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from keras_vae.config import PRESETS, RunConfig

from .grouped_help import grouped_option
from .values import Choice, FilePath, Latent, Numbers, Size

# Settings that the data or the preset decide.
_HIDDEN = {"preset", "model__image_shape", "model__num_classes", "model__latent_shape"}
_NAMES = {
    "from_model": "--from",
    "model__latent_dim": "--latent|--latent-dim|--latent-shape",
    "discriminator__widths": "--discriminator-widths",
}
# Headings of options that belong to no section of `RunConfig`.
START = "What to train"
RUN = "Run"
_ORDER = ("data", "model", "discriminator", "objective", "optimizer", RUN.lower())
# Settings that say how images are read, whatever is done with them.
_READING = {
    f"data__{name}"
    for name in (
        "data_dir",
        "train_split",
        "test_split",
        "image_size",
        "channels",
        "fit",
        "test_fraction",
        "split_seed",
        "max_pixels",
        "bit_depth",
        "strict",
        "cache_dir",
        "memory_limit",
    )
}


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of `RunConfig`; those that are given are passed as the argument ``changes``."""

    def with_changes(given: dict[str, Any], **arguments: Any) -> Any:
        if (latent := given.pop("model__latent_dim", None)) is not None:
            is_spatial = isinstance(latent, tuple)
            given["model__latent_shape"] = latent if is_spatial else None
            given |= {} if is_spatial else {"model__latent_dim": latent}
        return command(changes=given, **arguments)

    # The data come first, as people choose them first, and the settings of the run itself last.
    found = sorted(_settings().items(), key=lambda item: _ORDER.index(_section_of(item[0])))
    return _with_options(functools.update_wrapper(with_changes, command), dict(found))


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how images are read; those given are passed as ``reading``, for `DataConfig.replace`."""

    def with_reading(given: dict[str, Any], **arguments: Any) -> Any:
        reading = {key.removeprefix("data__"): value for key, value in given.items()}
        return command(reading=reading, **arguments)

    chosen = {key: setting for key, setting in _settings().items() if key in _READING}
    return _with_options(functools.update_wrapper(with_reading, command), chosen, are_common=True)


def _with_options(
    command: Callable[..., Any],
    settings: dict[str, tuple[dataclasses.Field[Any], Any]],
    *,
    are_common: bool = False,
) -> Callable[..., Any]:
    """Add an option for each setting; ``command`` receives those that are given, then its other arguments.

    Each option is in the group of its section. With ``are_common`` the short help shows all of them.
    """

    @functools.wraps(command)
    def with_given(**arguments: Any) -> Any:
        values = {key: arguments.pop(key) for key in settings}
        # A repeatable option that is not given is an empty tuple.
        return command({key: value for key, value in values.items() if value not in (None, ())}, **arguments)

    for key, (field, hint) in reversed(settings.items()):
        name = _NAMES.get(key, f"--{field.name.replace('_', '-')}")
        add = functools.partial(
            grouped_option,
            group=_section_of(key).capitalize(),
            is_common=are_common or field.metadata.get("is_common", False),
        )
        if hint is bool:
            option = add(f"{name}/--no-{name[2:]}", key, default=None, help=_sentence(field))
        elif hint == tuple[str, ...]:
            option = add(name, key, multiple=True, help=f"{_sentence(field)} May be repeated.")
        else:
            kind = Latent() if key == "model__latent_dim" else _click_type(field, hint)
            option = add(*name.split("|"), key, type=kind, metavar=_metavar(field, kind), help=_sentence(field))
        with_given = option(with_given)
    return with_given


def start_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--preset`` and ``--config``."""
    command = grouped_option(
        "--config",
        "config_path",
        type=FilePath(),
        group=START,
        is_common=False,
        help="Run the description in this config.json, or in that of a run directory.",
    )(command)
    return grouped_option(
        "--preset",
        default="mnist",
        show_default=True,
        group=START,
        help=f"Settings to start from: {', '.join(PRESETS)}.",
    )(command)


def was_given(parameter: str) -> bool:
    """Whether the command line gave the current command's ``parameter``, rather than its default."""
    return click.get_current_context().get_parameter_source(parameter) is not ParameterSource.DEFAULT


def given_options(context: click.Context, names: Iterable[str]) -> list[str]:
    """Those of these parameters' options that are on the command line."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [options[name] for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


run_argument = click.argument("run", type=FilePath())
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
batch_size_option = click.option(
    "--batch-size", type=click.IntRange(min=1), help="Images at a time; by default 256, or fewer if they are large."
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the random draws."
)


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is at --out.")


def picture_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--out``, the PNG to write, and ``--overwrite``."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        out = click.option("--out", type=FilePath(), help=f"PNG file to write.  [default: {default}]")
        return out(overwrite_option(command))

    return add


def with_data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--dataset`` and ``--data-dir``."""
    command = click.option("--data-dir", help="TFDS's data directory; by default the environment's TFDS_DATA_DIR.")(
        command
    )
    return click.option("--dataset", help="Data set to use; by default the one that RUN was trained on.")(command)


def _settings() -> dict[str, tuple[dataclasses.Field[Any], Any]]:
    """``section__name`` → field and type of each setting that has an option."""
    found: dict[str, tuple[dataclasses.Field[Any], Any]] = {}
    hints = typing.get_type_hints(RunConfig)
    for field in dataclasses.fields(RunConfig):
        if dataclasses.is_dataclass(hints[field.name]):
            inner = typing.get_type_hints(hints[field.name])
            for setting in dataclasses.fields(hints[field.name]):
                found[f"{field.name}__{setting.name}"] = (setting, inner[setting.name])
        else:
            found[field.name] = (field, hints[field.name])
    return {key: value for key, value in found.items() if key not in _HIDDEN}


def _section_of(key: str) -> str:
    return key.partition("__")[0] if "__" in key else RUN.lower()


def _sentence(field: dataclasses.Field[Any]) -> str:
    """The help text with default and bounds; a default of None is described in the text itself."""
    text = f"{field.metadata['help'][0].upper()}{field.metadata['help'][1:]}."
    if field.name == "latent_dim":  # whose option takes latent_shape too
        text = "Size of the latent vector, or a spatial latent's channels, height and width, such as 4x7x7."
    said = []
    if isinstance(field.default, bool):
        said.append(f"default: {'on' if field.default else 'off'}")
    elif field.default not in (None, ()):
        default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        said.append(f"default: {default}")
    said += filter(None, [_range(field.metadata)])
    return f"{text}  [{'; '.join(said)}]" if said else text


def _range(bounds: Mapping[str, Any]) -> str:
    """The bounds, such as ``x >= 1`` or ``0 < x <= 1``; empty if there are none.

    Without the spaces, ``<x`` would begin a tag in the HTML of the documentation.
    """
    low = [(bounds[name], sign) for name, sign in (("minimum", "="), ("above", "")) if name in bounds]
    high = [f" <{sign} {bounds[name]}" for name, sign in (("maximum", "="), ("below", "")) if name in bounds]
    if not low or not high:
        return "".join(["x", *(f" >{sign} {number}" for number, sign in low), *high]) if low or high else ""
    number, sign = low[0]
    return f"{number} <{sign} x{high[0]}"


def _metavar(field: dataclasses.Field[Any], kind: Any) -> str | None:
    """The notation of the value, if Click's own (the type's name in capitals) does not show it."""
    if isinstance(kind, Numbers | Size | Latent):
        return kind.name
    return f"[{'|'.join(map(str, field.metadata['choices']))}]" if kind is int and "choices" in field.metadata else None


def _click_type(field: dataclasses.Field[Any], hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is tuple:
        return Size() if typing.get_args(hint) == (int, int) else Numbers()
    if "choices" in field.metadata and hint is str:
        return Choice(field.metadata["choices"])
    return hint
