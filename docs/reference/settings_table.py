"""A hook of MkDocs that fills the settings page with tables made from the configuration dataclasses."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from keras_vae.config import RunConfig

MARK = "<!-- settings -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark with the tables."""
    return markdown.replace(MARK, _tables()) if MARK in markdown else markdown


def _tables() -> str:
    hints = typing.get_type_hints(RunConfig)
    sections = {"run": RunConfig}
    sections |= {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    return "\n\n".join(_table(name, kind) for name, kind in sections.items())


def _table(section: str, kind: type[Any]) -> str:
    lines = [f"## {section}", "", (kind.__doc__ or "").strip(), "", "| setting | default | bounds | meaning |"]
    lines.append("| --- | --- | --- | --- |")
    for field in dataclasses.fields(kind):
        if "help" in field.metadata:
            lines.append(
                f"| `{field.name}` | `{field.default}` | {_bounds(field.metadata)} | {field.metadata['help']} |"
            )
    return "\n".join(lines)


def _bounds(metadata: typing.Mapping[str, Any]) -> str:
    if "choices" in metadata:
        return ", ".join(f"`{choice}`" for choice in metadata["choices"])
    signs = {"minimum": "≥", "above": ">", "maximum": "≤", "below": "<"}
    return ", ".join(f"{sign} {metadata[name]}" for name, sign in signs.items() if name in metadata)
