"""Execute notebooks/quickstart.ipynb and write its outputs into it, ready to be committed.

    python scripts/run_notebook.py

It runs in a temporary folder, with the installed `keras-vae`. Outputs that differ between machines or runs are removed:
stderr, seconds, execution times, the folder. Pictures get a palette.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from keras_vae.files import written_beside

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "quickstart.ipynb"
CELL_SECONDS = 3600
# The folder in which Colab runs a notebook.
COLAB_FOLDER = "/content"
# `keras-vae train` ends each epoch's line with its seconds.
_SECONDS = re.compile(r" · \d+ s$", re.MULTILINE)


def execute(notebook: Any, folder: Path) -> None:
    """Run every cell in ``folder``, with this environment's programs first in PATH.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails, with the cell and its traceback.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute(env={**os.environ, "PATH": path})


def clean(notebook: Any, folder: Path) -> None:
    """Keep only the outputs and metadata that another execution, in another ``folder``, would reproduce."""
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _with_streams_joined(output for output in cell.outputs if output.get("name") != "stderr")
            for output in cell.outputs:
                if output.output_type == "stream":
                    output.text = _SECONDS.sub("", output.text).replace(str(folder), COLAB_FOLDER)
                elif "image/png" in output.data:
                    output.data = {"image/png": _with_palette(output.data["image/png"])}


def _with_streams_joined(outputs: Iterable[Any]) -> list[Any]:
    """Join the pieces of a program's output, which are cut at arbitrary positions."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _with_palette(encoded: str) -> str:
    """A PNG in base64, reduced to 256 colours, which is invisible in plots and grey digits."""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    written = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def main() -> None:
    """Execute, clean, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebook", nargs="?", type=Path, default=NOTEBOOK)
    path = parser.parse_args().notebook
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    clean(notebook, Path(folder))
    with written_beside(path) as beside:
        beside.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    print(f"wrote {path}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
