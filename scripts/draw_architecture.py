"""Draw docs/assets/architecture.svg from the model itself, by passing an image through it and recording every layer.

Run: python scripts/draw_architecture.py
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_vae.config import preset
from keras_vae.files import write_text
from keras_vae.models import VAE

WIDTH, BOX, ROW = 860, (300, 40), 56
LEFT, RIGHT = 40, 520
COLOURS = {"block": "#dbe9f6", "latent": "#fde8c8", "other": "#eeeeee"}


@dataclass(frozen=True)
class Step:
    """A layer that an image or a latent passed through."""

    name: str
    shape: str
    attends_to_tokens: bool = False
    kind: str = "other"


def recorded(model: keras.Model, *inputs: Any) -> tuple[list[Step], Any]:
    """The layers of ``model`` in the order of their calls, and the model's output."""
    steps: list[Step] = []
    for layer in model._flatten_layers(include_self=False, recursive=False):
        _record(layer, steps)
    return steps, model(*inputs)


def _record(layer: Any, steps: list[Step]) -> None:
    original = layer.call

    def call(*arguments: Any, **named: Any) -> Any:
        answer = original(*arguments, **named)
        steps.append(_describe(layer, tuple(answer.shape[1:])))
        return answer

    layer.call = call


def _describe(layer: Any, shape: tuple[int, ...]) -> Step:
    is_block = hasattr(layer, "self_attention")
    text = type(layer).__name__ if is_block else layer.name.replace("_", " ")
    if is_block:
        text += " + self-attention" if layer.self_attention else ""
    sides = "×".join(map(str, shape))
    return Step(text, sides, is_block and layer.cross_attention, "block" if is_block else "other")


def draw(vae: VAE) -> str:
    """The SVG, with the encoder on the left (downwards), the latent below, and the decoder on the right (upwards)."""
    encoder, (mean, _) = recorded(vae.encoder, np.zeros((1, *vae.image_shape), "float32"))
    decoder, _ = recorded(vae.decoder, mean)
    image = Step("image", "×".join(map(str, vae.image_shape)))
    tokens = next((step for step in decoder if step.name == "latent tokens"), None)
    left = _merged([image, *encoder])
    right = _merged([step for step in decoder if step is not tokens])
    rows = max(len(left), len(right))
    bottom = 60 + rows * ROW
    latent = Step("z = mean + exp(log_var / 2)·ε", "×".join(map(str, vae.latent_shape)), kind="latent")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 110}" font-family="sans-serif" '
        'font-size="14"><rect width="100%" height="100%" fill="white"/>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#444"/></marker></defs>',
        _text(LEFT + BOX[0] / 2, 30, "Encoder", bold=True),
        _text(RIGHT + BOX[0] / 2, 30, "Decoder", bold=True),
    ]
    left_tops = [50 + index * ROW for index in range(len(left))]
    right_tops = [bottom - 10 - (index + 1) * ROW for index in range(len(right))]
    parts += _column(left, LEFT, left_tops) + _column(right, RIGHT, right_tops)
    centre = (WIDTH - BOX[0]) / 2
    parts += _box(latent, centre, bottom + 30)
    parts.append(_arrow(LEFT + BOX[0] / 2, left_tops[-1] + BOX[1], centre + 60, bottom + 30))
    parts.append(_arrow(centre + BOX[0] - 60, bottom + 30, RIGHT + BOX[0] / 2, right_tops[0] + BOX[1]))
    if tokens is not None:
        parts += _generative_skips(right, right_tops, bottom, vae.decoder.architecture.context_tokens)
    return "\n".join([*parts, "</svg>\n"])


def _merged(steps: list[Step]) -> list[Step]:
    """Merge the mapping layers into one step, and the two heads into one."""
    found: list[Step] = []
    for step in steps:
        name = "mapping layers" if step.name.startswith("mapping") else step.name
        name = "mean, log_var" if name in ("mean", "log var") else name
        if found and found[-1].name == name:
            continue
        found.append(Step(name, step.shape, step.attends_to_tokens, step.kind))
    return found


def _column(steps: list[Step], x: float, tops: list[int]) -> list[str]:
    parts: list[str] = []
    for index, (step, top) in enumerate(zip(steps, tops, strict=True)):
        parts += _box(step, x, top)
        if index:
            before = tops[index - 1]
            down = top > before
            start, end = (before + BOX[1], top) if down else (before, top + BOX[1])
            parts.append(_arrow(x + BOX[0] / 2, start, x + BOX[0] / 2, end))
    return parts


def _generative_skips(steps: list[Step], tops: list[int], bottom: float, count: int) -> list[str]:
    """Dashed arrows from z's tokens to every level that attends to them."""
    rail = RIGHT - 60
    attending = [top + BOX[1] / 2 for step, top in zip(steps, tops, strict=True) if step.attends_to_tokens]
    style = 'stroke="#c46a00" stroke-width="1.5" stroke-dasharray="5 4" fill="none"'
    parts = [f'<path d="M{rail} {bottom + 30} V{min(attending)}" {style}/>']
    parts += [f'<path d="M{rail} {y} H{RIGHT - 2}" {style} marker-end="url(#head)"/>' for y in attending]
    top = min(attending) - 12
    lines = ("cross-attention", f"to {count} tokens of z")
    return parts + [_text(rail - 8, top - 17 * (1 - row), line, colour="#c46a00") for row, line in enumerate(lines)]


def _box(step: Step, x: float, y: float) -> list[str]:
    width, height = BOX
    fill = COLOURS[step.kind]
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="#888"/>',
        f'<text x="{x + 12}" y="{y + 25}">{escape(step.name)}</text>',
        f'<text x="{x + width - 12}" y="{y + 25}" text-anchor="end" fill="#555">{step.shape}</text>',
    ]


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1} {y1} L{x2} {y2}" stroke="#444" stroke-width="1.5" marker-end="url(#head)"/>'


def _text(x: float, y: float, text: str, *, bold: bool = False, colour: str = "#222") -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="middle" fill="{colour}"{weight}>{escape(text)}</text>'


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mnist")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs/assets/architecture.svg")
    arguments = parser.parse_args()
    write_text(arguments.out, draw(VAE.from_model_config(preset(arguments.preset).model)))


if __name__ == "__main__":
    main()
