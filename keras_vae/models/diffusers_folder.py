"""A folder of diffusers' AutoencoderKL: config.json, and its weights in safetensors files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_vae.errors import InputError
from keras_vae.files import folder_written_beside
from keras_vae.models.diffusers_config import architecture_of, config_of
from keras_vae.models.diffusers_names import current_name, places
from keras_vae.models.kl_architecture import KLArchitecture
from keras_vae.models.safetensors_files import StoredTensors, opened, write

if TYPE_CHECKING:
    from keras_vae.models.autoencoder_kl import AutoencoderKL

CONFIG = "config.json"
STEM = "diffusion_pytorch_model"
WEIGHTS = f"{STEM}.safetensors"
_PICKLES = ("*.bin", "*.ckpt", "*.pt", "*.pth")
# What the code of Rombach et al. 2022 calls its tensors, alone or in a whole model.
_COMPVIS = ("encoder.down.", "encoder.mid.", "decoder.up.", "decoder.mid.", "first_stage_model.")


def model_folder(path: Path) -> Path:
    """The folder itself, or ``vae`` in a pipeline's folder.

    Raises:
        InputError: if there is no config.json.
    """
    if path.is_file():
        kind = "a pickle, which can run code when it is read" if _is_pickle(path) else "a single file"
        raise InputError(f"{path}: is {kind}; give a folder with {CONFIG} and {WEIGHTS}")
    for folder in (path, path / "vae"):
        if (folder / CONFIG).is_file():
            return folder
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    raise InputError(f"{path}: holds no {CONFIG}, and no vae/{CONFIG}, so it is no diffusers folder")


def read_architecture(folder: Path, image_shape: tuple[int, int, int] | None = None, **choices: Any) -> KLArchitecture:
    """What config.json describes; the arguments are those of `architecture_of`.

    Raises:
        InputError: if it cannot be read, or describes another or an unsupported model.
    """
    path = folder / CONFIG
    try:
        return architecture_of(_read_json(path), image_shape, **choices)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_weights(vae: AutoencoderKL, folder: Path) -> None:
    """Set all weights of encoder and decoder to those of the folder.

    Raises:
        InputError: if there are none, a file is damaged or a pickle, or tensors are missing, superfluous or of other
            shapes than config.json says; the message names the file or the tensor.
    """
    with opened(_weight_files(folder)) as stored:
        names = {current_name(name): name for name in stored.names}
        wanted = list(places(vae))
        _check_names(folder, set(names), {name for place in wanted for name in place.names})
        for place in wanted:
            _check_shapes(folder, stored, [names[name] for name in place.names], place.tensor_shape)
            place.assign([stored.read(names[name]) for name in place.names])


def write_folder(vae: AutoencoderKL, folder: Path, *, overwrite: bool = False) -> None:
    """Write config.json and the weights in float32; the folder appears whole or not at all.

    Raises:
        InputError: if something is there already that may not be replaced, or the place cannot be written.
    """
    check_target(folder, overwrite=overwrite)
    config = config_of(
        vae.decoder.architecture, *map(keras.ops.convert_to_numpy, (vae.scaling_factor, vae.shift_factor))
    )
    tensors = {name: tensor for place in places(vae) for name, tensor in place.tensors().items()}
    try:
        with folder_written_beside(folder) as beside:
            (beside / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            write(beside / WEIGHTS, tensors)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Check, changing nothing, that the folder is free, or may be replaced because it holds such a model alone.

    Raises:
        InputError: if it is not.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; choose another place")
    others = sorted(path.name for path in folder.iterdir())
    if others and not overwrite:
        raise InputError(f"{folder}: exists already; choose another place, or overwrite it")
    if foreign := [name for name in others if name != CONFIG and not name.startswith(STEM)]:
        raise InputError(
            f"{folder}: holds other files, such as {foreign[0]}, which would be lost; choose another place"
        )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})") from error


def _weight_files(folder: Path) -> list[Path]:
    """The file or the shards; those without a variant such as fp16 go before those with one."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / f"{WEIGHTS}.index.json").is_file():
        return _shards(folder / f"{WEIGHTS}.index.json")
    variants = [path for path in sorted(folder.glob(f"{STEM}.*.safetensors")) if "-of-" not in path.name]
    indices = sorted(folder.glob(f"{WEIGHTS}.index.*.json"))
    if len(variants) + len(indices) > 1:
        found = ", ".join(path.name for path in (*variants, *indices))
        raise InputError(f"{folder}: holds several variants ({found}); keep one, or name it {WEIGHTS}")
    if variants:
        return variants
    if indices:
        return _shards(indices[0])
    if pickles := sorted(path for pattern in _PICKLES for path in folder.glob(pattern)):
        raise InputError(
            f"{pickles[0]}: is a pickle, which can run code when it is read, so it is refused; save the model with "
            f"diffusers as {WEIGHTS}"
        )
    raise InputError(f"{folder}: holds no {WEIGHTS}")


def _shards(index: Path) -> list[Path]:
    try:
        found = _read_json(index)
    except InputError as error:
        raise InputError(f"{index}: {error}") from error
    weight_map = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index}: has no weight_map")
    names = sorted({str(name) for name in weight_map.values()})
    # A name such as ../other would lead out of the folder.
    if foreign := [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]:
        raise InputError(f"{index}: names {foreign[0]!r:.60}, which is no safetensors file of its folder")
    return [index.with_name(name) for name in names]


def _is_pickle(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _PICKLES)


def _check_names(folder: Path, found: set[str], wanted: set[str]) -> None:
    if foreign := sorted(name for name in found - wanted if name.startswith(_COMPVIS)):
        raise InputError(
            f"{folder}: its tensors have the names of CompVis' code, such as {foreign[0]!r:.100}; with diffusers, "
            "AutoencoderKL.from_single_file(FILE).save_pretrained(FOLDER) makes a folder of it"
        )
    for names, verb, asks in ((wanted - found, "lacks", "asks"), (found - wanted, "holds", "does not ask")):
        if names:
            count = f"{len(names):,} tensor{'s'[: len(names) > 1]}"
            raise InputError(f"{folder}: {verb} {count} that its {CONFIG} {asks} for, such as {min(names)!r:.100}")


def _check_shapes(folder: Path, stored: StoredTensors, names: list[str], wanted: tuple[int, ...]) -> None:
    for name in names:
        if stored.shape_of(name) != wanted:
            raise InputError(f"{folder}: {name} is {stored.shape_of(name)}, and its {CONFIG} asks for {wanted}")
