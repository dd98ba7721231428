"""Help in groups: ``--help`` shows the options used most, ``--help-all`` every one."""

from __future__ import annotations

import functools
from typing import Any

import click

_SHOWS_ALL = "keras_vae_cli.help_all"
# As wide as Click makes the column of the options.
_WIDEST = 30


class GroupedOption(click.Option):
    """An option under a heading of its own.

    Args:
        *declarations: as for `click.Option`.
        group: the heading.
        is_common: whether ``--help`` shows it; if not, ``--help-all`` does.
        **attributes: as for `click.Option`.
    """

    def __init__(self, *declarations: Any, group: str = "Options", is_common: bool = True, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.group = group
        self.is_common = is_common


grouped_option = functools.partial(click.option, cls=GroupedOption)
"""``click.option`` with ``group`` and ``is_common``."""


class GroupedCommand(click.Command):
    """Lists its options by group. Options that are not common are left to ``--help-all``, which it has if any are."""

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """As Click does, with ``--help-all`` before ``--help``."""
        parameters = super().get_params(context)
        if all(map(_is_common, self.params)):
            return parameters
        return [*parameters[:-1], self._help_all, parameters[-1]]

    @functools.cached_property
    def _help_all(self) -> click.Option:
        def show(context: click.Context, option: click.Parameter, is_given: bool) -> None:
            if is_given:
                context.meta[_SHOWS_ALL] = True
                click.echo(context.get_help())
                context.exit()

        return click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=show,
            help="Show every option and exit.",
        )

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by group, all of one width, and how many more there are."""
        shows_all = context.meta.get(_SHOWS_ALL, False)
        options = [option for option in self.get_params(context) if isinstance(option, click.Option)]
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in options:
            if (shows_all or _is_common(option)) and (record := option.get_help_record(context)):
                groups.setdefault(getattr(option, "group", "Options"), []).append(record)
        terms = [term for records in groups.values() for term, _ in records]
        width = min(max(map(len, terms)), _WIDEST)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl([(term.ljust(width), text) for term, text in records])
        if rare := [option for option in options if not shows_all and not _is_common(option)]:
            formatter.write_paragraph()
            formatter.write_text(f"{len(rare)} more options: {context.command_path} --help-all")


def _is_common(parameter: click.Parameter) -> bool:
    return getattr(parameter, "is_common", True)
