"""LiteRT.js, the runtime that a page without a server carries: where it is found, and how npm installs it.

https://www.npmjs.com/package/@litertjs/core (Apache-2.0)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside

VERSION = "2.5.3"
"""The version that the page is written for and tested with."""
PACKAGES = ("@litertjs/core", "@litertjs/wasm-utils")
INSTALLATION = f"npm install {' '.join(f'{package}@{VERSION}' for package in PACKAGES)}"
# Seconds until npm is given up.
PATIENCE = 180
_CORE, _UTILS = PACKAGES
# The module for processors and browsers without relaxed SIMD runs everywhere, and decoded digits as fast as the other.
_FILES = {
    "core.js": f"{_CORE}/dist/index.js",
    "utils.js": f"{_UTILS}/dist/index.js",
    "wasm.js": f"{_CORE}/wasm/litert_wasm_compat_internal.js",
    "wasm": f"{_CORE}/wasm/litert_wasm_compat_internal.wasm",
}


@dataclass(frozen=True)
class Runtime:
    """The files of LiteRT.js that a page carries.

    Args:
        version: its version.
        files: ``core.js`` and ``utils.js``, ES modules of which the first imports the second; ``wasm.js``, the script
            that starts WebAssembly, and ``wasm``, its program.
    """

    version: str
    files: dict[str, bytes]


def find_runtime(folder: Path | None = None) -> Runtime:
    """The runtime in ``folder``, or else in ``./node_modules``, or else in the cache, where npm installs it if need be.

    Args:
        folder: a ``node_modules``.

    Raises:
        InputError: if ``folder`` has none or another version, or if there is none and npm cannot install it.
    """
    folder = folder or installed_runtime()
    if folder is None:
        _install(cache_folder())
        folder = cache_folder() / "node_modules"
    return _read(folder)


def installed_runtime() -> Path | None:
    """The ``node_modules`` of this folder or of the cache that has the runtime; None if neither has."""
    places = Path("node_modules"), cache_folder() / "node_modules"
    return next((place for place in places if _version(place) == VERSION), None)


def cache_folder() -> Path:
    """Where npm installs the runtime: a folder of its version in the user's cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(caches).expanduser() / "keras-vae" / f"litertjs-{VERSION}"


def _install(folder: Path) -> None:
    """Let npm install the runtime into ``folder``; it appears there complete or not at all.

    Raises:
        InputError: if there is no npm, or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"a page that works by itself needs LiteRT.js, and npm is not here to install it; run {INSTALLATION} where "
            "npm is, and give its folder with --runtime node_modules"
        )
    options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        with folder_written_beside(folder) as beside:
            # Without this file npm would install into the nearest folder above that has one.
            (beside / "package.json").write_text("{}", encoding="utf-8")
            subprocess.run(
                [npm, "install", *options, *(f"{package}@{VERSION}" for package in PACKAGES)],
                cwd=beside,
                check=True,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"npm did not install LiteRT.js within {PATIENCE} s; run {INSTALLATION}") from error
    except subprocess.CalledProcessError as error:
        raise InputError(f"npm cannot install LiteRT.js ({_reason(error.stderr)}); run {INSTALLATION}") from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); give --runtime node_modules") from error


def _reason(output: str) -> str:
    """What npm says in its first line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[0][:200] if lines else "it does not say why"


def _read(folder: Path) -> Runtime:
    version = _version(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; make it with {INSTALLATION}")
    if version is None:
        raise InputError(f"{folder}: has no {_CORE}; there, run {INSTALLATION}")
    if version != VERSION:
        raise InputError(f"{folder}: has {_CORE} {version!r:.40}, and the page takes {VERSION}; run {INSTALLATION}")
    try:
        return Runtime(version, {name: (folder / path).read_bytes() for name, path in _FILES.items()})
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); run {INSTALLATION}") from error


def _version(folder: Path) -> str | None:
    """The version of the runtime in a ``node_modules``; None if there is none."""
    try:
        found = json.loads((folder / _CORE / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    version = found.get("version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else None
