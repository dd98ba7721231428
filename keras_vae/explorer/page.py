"""The page as one HTML text: markup, style, modules and data, under a strict Content-Security-Policy.

The one script that a browser may run by itself is ``boot.js``, which the policy names by its hash. It makes modules of
the others, which are in the page as text.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from keras_vae.explorer.exploration import Exploration, arrays_of, facts_of
from keras_vae.explorer.runtime import Runtime

_IMPORT = re.compile(r"""from "\./([a-z_]+\.js)";""")
FIRST_SLIDERS = 16
"""Sliders that show before all are asked for."""
# Not modules of the page: the first starts them, and the second runs in a thread of its own.
_BOOT, _WORKER = "boot.js", "worker.js"


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        html: its text.
        policy: its Content-Security-Policy, which is in the text too.
    """

    html: str
    policy: str


def offline_page(exploration: Exploration, encoder: bytes, decoder: bytes, runtime: Runtime) -> Page:
    """A page that needs no server and no network.

    Args:
        exploration: what it shows.
        encoder, decoder: LiteRT files with float32 inputs and outputs.
        runtime: what runs them in the browser.
    """
    files = {"encoder": encoder, "decoder": decoder, **runtime.files}
    # 'wasm-unsafe-eval' lets WebAssembly be compiled and nothing else. The modules' and the worker's addresses are
    # blobs, which scripts alone can make.
    rules = {"script-src": "blob: 'wasm-unsafe-eval'", "worker-src": "blob:"}
    return _page(exploration, files, rules, runtime.version)


def served_page(exploration: Exploration) -> Page:
    """A page that asks the server it came from to encode and decode."""
    return _page(exploration, {}, {"script-src": "blob:", "connect-src": "'self'"}, None)


def _page(
    exploration: Exploration, files: Mapping[str, bytes], rules: Mapping[str, str], runtime_version: str | None
) -> Page:
    style, boot = _asset("style.css"), _asset(_BOOT)
    policy = content_security_policy({**rules, "script-src": f"{_hash(boot)} {rules['script-src']}"}, style)
    arrays = arrays_of(exploration)
    facts = {
        **facts_of(exploration),
        "isServed": runtime_version is None,
        "firstSliders": FIRST_SLIDERS,
        "arrays": {name: {"type": str(array.dtype), "shape": array.shape} for name, array in arrays.items()},
    }
    packed = {name: _packed(_little_endian(array)) for name, array in arrays.items()}
    packed |= {name: _packed(content) for name, content in files.items()}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    html = environment.from_string(_asset("index.html.j2")).render(
        policy=policy,
        style=style,
        boot=boot,
        modules=_modules(),
        worker=None if runtime_version is None else _asset(_WORKER),
        facts=facts,
        facts_json=_json(facts),
        first_sliders=FIRST_SLIDERS,
        packed=packed,
        exploration=exploration,
        runtime_version=runtime_version,
    )
    # Names of folders may hold bytes that are no text.
    return Page(html.encode(errors="replace").decode(), policy)


def content_security_policy(rules: Mapping[str, str], style: str) -> str:
    """A policy that forbids everything but ``rules``, pictures in the page itself, and the one ``style``."""
    whole = {
        "default-src": "'none'",
        **rules,
        "style-src": _hash(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in whole.items())


def _modules() -> dict[str, str]:
    """The page's modules by name, each after those that it imports."""
    folder = resources.files(__package__).joinpath("web")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".js"))
    sources = {name: _asset(name) for name in names if name not in (_BOOT, _WORKER)}
    order = TopologicalSorter({name: _IMPORT.findall(source) for name, source in sources.items()}).static_order()
    return {name: sources[name] for name in order}


def _asset(name: str) -> str:
    """A file of the folder ``web``, which must not end the element that it is put into.

    The parser of HTML takes line breaks as ``\\n``, and so does the hash.
    """
    text = resources.files(__package__).joinpath("web", name).read_text("utf-8").replace("\r\n", "\n")
    if not name.endswith(".j2") and re.search(r"</(script|style)|<!--", text, re.IGNORECASE):
        raise ValueError(f"{name}: cannot be put into a page, since it contains </script, </style or <!--")
    return text


def _hash(text: str) -> str:
    """A text's SHA-256, as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    """JSON that can stand in an element: no ``<`` can end it or open a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(content: bytes) -> str:
    """Compressed and in ASCII, the same for the same content."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


def _little_endian(array: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
