"""No script and no example is without a test that runs it (tests/benchmarks runs the benchmarks, all of them)."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What runs each file, at its smallest size.
RUN_BY = {
    "examples/docker_serve.sh": "tests/examples/test_examples_shell.py",
    "examples/kubernetes.yaml": "tests/examples/test_examples_manifests.py",
    "examples/litert_decode.py": "tests/examples/test_examples_litert.py",
    "examples/local_workers.sh": "tests/examples/test_examples_shell.py",
    "examples/serving_grpc.py": "tests/examples/test_examples_grpc.py",
    "examples/serving_rest.py": "tests/examples/test_examples_rest.py",
    "examples/slurm.sh": "tests/examples/test_examples_shell.py",
    "examples/tfjob.yaml": "tests/examples/test_examples_manifests.py",
    "scripts/build_vgg16_weights.py": "tests/losses/test_losses_weights_script.py",
    "scripts/check_dependencies.py": "tests/scripts/test_scripts_run.py",
    "scripts/draw_architecture.py": "tests/scripts/test_scripts_run.py",
    "scripts/publish_models.py": "tests/scripts/test_scripts_run.py",
    "scripts/record_explorer.py": "tests/explorer/test_explorer_programs.py",
    "scripts/run_notebook.py": "tests/scripts/test_scripts_run.py",
}


def test_every_script_and_example_is_run_by_a_test():
    files = (path for name in ("examples", "scripts") for path in (ROOT / name).rglob("*") if path.is_file())
    found = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert found == RUN_BY.keys()


@pytest.mark.parametrize("name", RUN_BY)
def test_that_test_names_the_file(name):
    assert Path(name).stem in (ROOT / RUN_BY[name]).read_text(encoding="utf-8")
