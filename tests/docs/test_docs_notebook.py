"""The notebook runs, and its committed outputs are complete, small and clean."""

import base64
import importlib.util
import io
import re

import nbformat
import pytest
from documents import ROOT
from PIL import Image
from reduced_commands import REDUCED

spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "scripts" / "run_notebook.py")
run_notebook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_notebook)


@pytest.fixture
def notebook():
    return nbformat.read(run_notebook.NOTEBOOK, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
def test_every_cell_runs(notebook, tmp_path):
    training = next(cell for cell in notebook.cells if cell.cell_type == "code" and "keras-vae train" in cell.source)
    training.source, replaced = re.subn(r"--epochs \d+", " ".join(REDUCED["train"]), training.source)
    assert replaced == 1
    exporting = next(cell for cell in notebook.cells if cell.cell_type == "code" and "keras-vae export" in cell.source)
    exporting.source += " --no-tflite"  # which takes longest, and the notebook does not use

    run_notebook.execute(notebook, tmp_path)
    run_notebook.clean(notebook, tmp_path)

    assert (tmp_path / "exports" / "mnist-latent2" / "1" / "saved_model.pb").is_file()
    assert "epoch 1/1 · train nll" in str(outputs(notebook))
    assert str(tmp_path) not in str(notebook)


def test_it_is_published_as_one_run_from_top_to_bottom_left_it(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert "colab.research.google.com" in notebook.cells[0].source


def test_its_outputs_are_small_and_name_no_machine(notebook):
    assert run_notebook.NOTEBOOK.stat().st_size < 600_000
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    assert "epoch" in printed
    assert not re.search(r"/(home|root|tmp|Users)/|\d s$|WARNING|\b[IWE]0000\b|[0-9a-f]{12}", printed, re.MULTILINE)
    pictures = [output.data["image/png"] for output in outputs(notebook) if "data" in output]
    assert len(pictures) >= 5
    for encoded in pictures:
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            assert picture.mode == "P"
            assert len(picture.convert("RGB").getcolors()) > 2


def test_what_differs_between_runs_is_left_out():
    cell = nbformat.v4.new_code_cell(
        outputs=[
            nbformat.v4.new_output("stream", name="stderr", text="I0000 a library"),
            nbformat.v4.new_output("stream", name="stdout", text="epoch 1/1 · kl 3 · 3"),
            nbformat.v4.new_output("stream", name="stdout", text="5 s\nin /tmp/place/runs\n"),
        ],
        metadata={"execution": {"iopub.execute_input": "2025-01-01T00:00:00"}},
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])

    run_notebook.clean(notebook, "/tmp/place")

    assert [output.text for output in notebook.cells[0].outputs] == ["epoch 1/1 · kl 3\nin /content/runs\n"]
    assert notebook.cells[0].metadata == {}
