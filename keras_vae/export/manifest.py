"""``manifest.json`` describes a published version and lists the SHA-256 of each of its files.

It detects damaged and incomplete copies. It is not signed: whoever can write the files can also write the manifest.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_vae.config import LIKELIHOODS
from keras_vae.errors import InputError
from keras_vae.files import sha256_of, write_text

NAME = "manifest.json"
FORMAT = 1
# Far above any real manifest; a larger file is refused without reading it into memory.
_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Manifest:
    """The contents of ``manifest.json``.

    Args:
        name: name of the model, under which it is served.
        version: version number.
        created: UTC, ISO 8601.
        image_shape: (H, W, C).
        latent_shape: (L,) for a latent vector, (h, w, c) for a spatial latent.
        num_classes: number of labels of a conditional model, else None.
        variational: False for a plain autoencoder.
        likelihood: distribution of a pixel given z.
        likelihood_scale: standard deviation or scale of the likelihood.
        scaling_factor: factor that scales a spatial latent to variance 1, else None.
        parameters: number of weights in ``encoder``, in ``decoder`` and in ``total``.
        software: package → version, on the exporting machine.
        git_revision: commit of the checkout that exported the model.
        data: the run's record of its training data, with the SHA-256 of the pixels.
        evaluation: the model's evaluation (``model data settings metrics``), or None if it was not measured.
        signatures: signature → largest absolute ``difference`` from the Keras model, and its ``bound``.
        score: of a model with a scorer its ``method``, ``measures``, number of ``held_out`` normal images, rate of
            ``false_alarms``, and the ``threshold`` above which a score is unusual; else None.
        tflite: for each TFLite file its ``path``, ``size`` in bytes, ``difference`` from the Keras model, the
            ``measure`` of that difference, its ``bound``, and further details.
        onnx: the same for each ONNX file.
        prior: name of the distribution that ``sample`` draws from, such as "normal", "flow", or "uniform" for codes.
        prior_classes: number of labels of a prior that ``sample`` draws from by class, else None.
        codebook_size: the number of different codes, or None if the model has none.
        code_shape: the shape of an image's codes, or None.
        files: path in the version's folder → ``sha256`` and ``size``, for every file except the manifest.
    """

    name: str
    version: int
    created: str
    image_shape: tuple[int, int, int]
    latent_shape: tuple[int, ...]
    num_classes: int | None
    variational: bool
    likelihood: str
    likelihood_scale: float
    scaling_factor: float | None
    parameters: Mapping[str, int]
    software: Mapping[str, str | None]
    git_revision: str | None
    data: Mapping[str, Any] | None
    evaluation: Mapping[str, Any] | None
    signatures: Mapping[str, Mapping[str, float]]
    tflite: tuple[Mapping[str, Any], ...] = ()
    onnx: tuple[Mapping[str, Any], ...] = ()
    prior: str = "normal"
    prior_classes: int | None = None
    codebook_size: int | None = None
    code_shape: tuple[int, ...] | None = None
    score: Mapping[str, Any] | None = None
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def latent_dim(self) -> int:
        """How many numbers a latent has."""
        return math.prod(self.latent_shape)

    def as_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write ``manifest.json`` with the SHA-256 of every file in the folder; returns the manifest that was written.

    Raises:
        InputError: if something in the folder is not a plain file, or if a value cannot be written as JSON.
    """
    files = {
        name: {"sha256": sha256_of(folder / name), "size": (folder / name).stat().st_size} for name in _files_in(folder)
    }
    whole = dataclasses.replace(manifest, files=files)
    try:
        text = json.dumps(whole.as_dict(), indent=2, allow_nan=False)
    except ValueError as error:
        raise InputError(f"the run's records hold a value that is not a number ({error})") from error
    write_text(folder / NAME, text + "\n")
    return whole


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a version, and check its fields but not its files.

    Raises:
        InputError: if there is no manifest, or if it is damaged.
    """
    path = folder / NAME
    try:
        # Neither follow a link nor read from a pipe, which may never end.
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            raise InputError(f"{path}: is not a manifest")
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise InputError(f"{folder}: is not an exported version (it has no {NAME})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON ({error!s:.120})") from error
    return _parse(path, values)


def check_manifest(folder: Path) -> Manifest:
    """Check that a version's folder holds exactly the files of its manifest, unchanged.

    Raises:
        InputError: naming the first file that is missing, was changed or was added; or as in `read_manifest`.
    """
    manifest = read_manifest(folder)
    try:
        found = set(_files_in(folder))
        for name in sorted(manifest.files.keys() | found):
            if name not in found:
                raise InputError(f"{folder}: {_shown(name)} is missing")
            if name not in manifest.files:
                raise InputError(f"{folder}: {_shown(name)} was added after the export")
            said = manifest.files[name]
            if (folder / name).stat().st_size != said["size"] or sha256_of(folder / name) != said["sha256"]:
                raise InputError(f"{folder}: {_shown(name)} was changed after the export")
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    return manifest


def _files_in(folder: Path) -> Iterator[str]:
    """The relative path, with ``/`` as separator, of every file except the manifest."""
    for directory, folders, names in os.walk(folder, onerror=_raise):
        for name in sorted([*folders, *names]):
            path = Path(directory, name)
            relative = path.relative_to(folder).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                if relative != NAME:
                    yield relative
            elif not stat.S_ISDIR(mode):
                raise InputError(f"{folder}: {_shown(relative)} is a link or not a plain file")


def _raise(error: OSError) -> None:
    raise error


def _shown(name: str) -> str:
    """A file's name in one printable line."""
    return ascii(name)[1:-1][:200]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse(path: Path, values: Any) -> Manifest:
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object")
    if values.get("format") != FORMAT:
        raise InputError(f"{path}: its format is {values.get('format')!r:.40}; this release reads {FORMAT}")
    # Before there were other priors, codes and scorers, the manifest named none.
    none = dict.fromkeys(("prior_classes", "codebook_size", "code_shape", "score"))
    values = {"prior": "normal", **none, **values}
    for name, (is_right, kind) in _FIELDS.items():
        if name not in values or not is_right(values[name]):
            raise InputError(f"{path}: {name} is not {kind}")
    known = {name: values[name] for name in _FIELDS}
    if (known["codebook_size"] is None) != (known["code_shape"] is None):
        raise InputError(f"{path}: codebook_size and code_shape belong together, but one of them is null")
    lists = [name for name in known if isinstance(known[name], list)]
    known |= {name: tuple(known[name]) for name in lists}
    return Manifest(**known)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000 and value.isprintable()


def _is_count(value: Any) -> bool:
    return _is_size(value) and value >= 1


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_latent_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 3) and all(map(_is_count, value))


def _is_code_shape(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 3 and all(map(_is_count, value))


def _is_image_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_count, value)) and value[2] in (1, 3)


def _is_mapping_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_right, value.values()))


def _or_none(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


def _is_difference(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(name)) for name in ("difference", "bound"))


def _is_variant_list(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_difference(item) and _is_size(item.get("size")) and all(_is_text(item.get(k)) for k in ("path", "measure"))
        for item in value
    )


def _is_file_list(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_inner_path(name)
        and isinstance(said, dict)
        and _is_sha256(said.get("sha256"))
        and _is_size(said.get("size"))
        for name, said in value.items()
    )


def _is_inner_path(name: str) -> bool:
    """Whether a path stays inside the folder."""
    return "\\" not in name and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_text, "a text in one line"),
    "version": (_is_count, "a number from 1"),
    "created": (_is_text, "a text in one line"),
    "image_shape": (_is_image_shape, "[height, width, 1 or 3]"),
    "latent_shape": (_is_latent_shape, "[size], or [height, width, channels]"),
    "num_classes": (_or_none(_is_count), "a number from 1, or null"),
    "variational": (lambda value: isinstance(value, bool), "true or false"),
    "prior": (_is_text, "a text in one line"),
    "prior_classes": (_or_none(_is_count), "a number from 1, or null"),
    "codebook_size": (_or_none(_is_count), "a number from 1, or null"),
    "code_shape": (_or_none(_is_code_shape), "[groups], [height, width] or [height, width, groups], or null"),
    "likelihood": (lambda value: value in LIKELIHOODS, f"one of {', '.join(LIKELIHOODS)}"),
    "likelihood_scale": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "scaling_factor": (_or_none(lambda value: _is_number(value) and value > 0), "a number above 0, or null"),
    "parameters": (_is_mapping_of(_is_size), "an object of counts"),
    "software": (_is_mapping_of(_or_none(_is_text)), "an object of versions"),
    "git_revision": (_or_none(_is_text), "a text in one line, or null"),
    "data": (_or_none(_is_object), "an object, or null"),
    "evaluation": (_or_none(_is_object), "an object, or null"),
    "score": (_or_none(_is_object), "an object, or null"),
    "signatures": (_is_mapping_of(_is_difference), "an object of differences and bounds"),
    "tflite": (_is_variant_list, "a list of files with size, difference, measure and bound"),
    "onnx": (_is_variant_list, "a list of files with size, difference, measure and bound"),
    "files": (_is_file_list, "an object of paths in the folder with sha256 and size"),
}
